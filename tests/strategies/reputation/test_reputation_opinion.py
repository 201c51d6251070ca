"""Opinions and fading against hand-worked numbers; settings that are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.reputation import (
    ReputationError,
    ReputationSettings,
    faded,
    fading_weights,
    opinion,
)

DEFAULT = ReputationSettings()


def test_opinions_by_hand():
    """Eq. 2 with omega .4/.6 and kappa 1: one positive, one negative, neither, two and three."""
    found = opinion([1, 0, 0, 2], [0, 1, 0, 3], DEFAULT)
    np.testing.assert_allclose(found.belief, [0.4 / 1.4, 0, 0, 0.8 / 3.6])
    np.testing.assert_allclose(found.disbelief, [0, 0.6 / 1.6, 0, 1.8 / 3.6])
    np.testing.assert_allclose(found.uncertainty, [1 / 1.4, 1 / 1.6, 1, 1 / 3.6])
    np.testing.assert_allclose(
        found.reputation(DEFAULT), [0.9 / 1.4, 0.5 / 1.6, 0.5, (0.8 + 0.5) / 3.6]
    )


def test_fading_by_hand():
    """Y = 3, z = .5: weights 1/4, 1/2, 1; a positive two slots ago, a negative just now."""
    settings = ReputationSettings(fading=0.5, window=3)
    np.testing.assert_allclose(fading_weights(settings), [0.25, 0.5, 1.0])
    found = faded([1, 0, 0], [0, 0, 1], settings)
    assert found.belief == pytest.approx(0.25 / 1.75 * 0.4 / 1.4)
    assert found.disbelief == pytest.approx(1.0 / 1.75 * 0.6 / 1.6)


def test_missing_slots_are_vacuous():
    """One positive slot of three weighs 1 / 1.75, not everything."""
    settings = ReputationSettings(fading=0.5, window=3)
    short, padded = faded([1], [0], settings), faded([0, 0, 1], [0, 0, 0], settings)
    np.testing.assert_allclose(short, padded)
    assert short.reputation(settings) == pytest.approx(0.5 + (0.9 / 1.4 - 0.5) / 1.75)


@given(p=st.integers(0, 50), q=st.integers(0, 50), alpha=st.floats(0.3, 1))
def test_opinions_sum_to_one_and_reputation_is_monotone(p, q, alpha):
    """More praise never lowers R, more blame never raises it."""
    settings = ReputationSettings(base_rate=alpha, threshold=0.3)
    found = opinion([p, p + 1, p], [q, q, q + 1], settings)
    np.testing.assert_allclose(found.belief + found.disbelief + found.uncertainty, 1)
    here, better, worse = found.reputation(settings)
    assert worse <= here + 1e-12
    assert better >= here - 1e-12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 0.6}, r"theta 0.6 is outside 0..alpha = 0.5"),
        ({"threshold": -0.1}, "theta -0.1"),
        ({"threshold": float("nan")}, "theta nan"),
        ({"positive_weight": 0.5}, "sum to 1"),
        ({"positive_weight": 1.2, "negative_weight": -0.2}, "must be positive"),
        ({"uncertainty": 0.0}, "kappa is 0.0"),
        ({"base_rate": 1.5}, "alpha is 1.5"),
        ({"fading": 1.0}, "fading z is 1.0"),
        ({"fading": float("nan")}, "fading z is nan"),
        ({"window": 0}, "window is 0 slots"),
    ],
)
def test_bad_settings_are_refused_in_one_line(change, message):
    """What, why, what to do."""
    with pytest.raises(ReputationError, match=message) as caught:
        ReputationSettings(**change)
    assert "\n" not in str(caught.value)


def test_threshold_allows_for_rounding():
    """R >= theta - 1e-9: a newcomer at alpha = theta is trusted, a hair below too."""
    assert DEFAULT.trusts([0.5, 0.5 - 1e-10, 0.5 - 1e-8]).tolist() == [True, True, False]
