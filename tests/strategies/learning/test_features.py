"""Feature maps: the formulas of the paper's preset, fixed bounds, and the norm they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from strategies.learning.features import FEATURE_MAPS, FeatureMap
from strategies.learning.task import feature_map, federation_of
from strategies.settings import Settings

NINE = (1.0,) * 9, (10.0,) * 9


def bcwd_map(name: str, bias: float = 1.0) -> FeatureMap:
    return FeatureMap(name, *NINE, bias=bias)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("raw", lambda x: x),
        ("scaled", lambda x: (x - 5.5) / 4.5),
        ("log", lambda x: 2 * np.log10(x) - 1),
    ],
)
def test_maps_on_grades_one_to_ten_are_the_stated_formulas(name: str, formula) -> None:
    grades = np.arange(1.0, 11.0)[:, None] * np.ones(9)
    mapped = bcwd_map(name, bias=0.6)(grades)
    assert mapped.shape == (10, 10)
    np.testing.assert_allclose(mapped[:, :9], formula(grades), atol=1e-15)
    assert (mapped[:, 9] == 0.6).all()


@given(
    arrays(np.float64, (5, 9), elements=st.floats(-1e6, 1e6)), st.sampled_from(["scaled", "log"])
)
def test_no_record_however_wild_exceeds_the_norm_bound(records: np.ndarray, name: str) -> None:
    mapping = FeatureMap(name, *NINE, bias=2.0, scale=0.5)
    mapped = mapping(records)
    assert np.abs(mapped[:, :9]).max() <= 0.5 + 1e-15
    assert np.linalg.norm(mapped, axis=1).max() <= mapping.norm_bound() * (1 + 1e-15)


def test_the_norm_bound_is_reached_and_raw_has_none() -> None:
    mapping = bcwd_map("scaled")
    assert mapping.norm_bound() == pytest.approx(np.sqrt(10))
    assert np.linalg.norm(mapping(np.full(9, 10.0))) == pytest.approx(mapping.norm_bound())
    assert bcwd_map("raw").norm_bound() == float("inf")


def test_the_map_is_a_function_of_public_bounds_and_not_of_the_records() -> None:
    settings = Settings()
    table = federation_of(settings).table
    some, all_ = table.take(np.arange(3)), table
    assert feature_map(some, settings) == feature_map(all_, settings) == bcwd_map("scaled")


def test_leading_axes_are_kept() -> None:
    records = np.random.default_rng(0).uniform(1, 10, size=(2, 3, 9))
    mapped = bcwd_map("log")(records)
    assert mapped.shape == (2, 3, 10)
    np.testing.assert_array_equal(mapped[1, 2], bcwd_map("log")(records[1, 2]))


def test_bounds_may_differ_by_attribute() -> None:
    mapping = FeatureMap("scaled", (0.0, -2.0), (1.0, 2.0))
    np.testing.assert_allclose(mapping(np.array([0.25, 1.0])), [-0.5, 0.5, 1.0])
    assert mapping.dimension == 3


@pytest.mark.parametrize(
    ("name", "low", "high", "reason"),
    [
        ("cubed", (0.0,), (1.0,), "unknown feature map 'cubed'"),
        ("raw", (1.0,), (1.0,), "low < high"),
        ("raw", (0.0, 0.0), (1.0,), "low < high"),
        ("raw", (float("nan"),), (1.0,), "low < high"),
    ],
)
def test_what_would_map_to_nothing_is_refused(name: str, low, high, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        FeatureMap(name, low, high)


def test_settings_offer_exactly_these_maps() -> None:
    for name in FEATURE_MAPS:
        assert feature_map(federation_of(Settings()).table, Settings(features=name)).name == name
