from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.privacy.gaussian import compose
from strategies.trust.budget import noise_schedule
from strategies.trust.settings import TrustError


def test_hand_worked_schedule() -> None:
    """mu = .5, four releases, .4 to the first: .1, and .05 of mu^2 = .25 to each other."""
    found = noise_schedule(0.5, 4, 0.4, sensitivity=0.6)
    assert found == pytest.approx([0.6 / sqrt(0.1), *[0.6 / sqrt(0.05)] * 3])


@given(st.floats(0.05, 5), st.integers(1, 40), st.floats(0.05, 0.95), st.floats(0.1, 3))
def test_releases_compose_to_the_budget(
    mu: float, rounds: int, share: float, sensitivity: float
) -> None:
    noise = noise_schedule(mu, rounds, share, sensitivity=sensitivity)
    assert compose(sensitivity / noise) == pytest.approx(mu)


def test_the_first_release_has_its_share_and_the_others_are_equal() -> None:
    noise = noise_schedule(1.0, 10)
    spent = (2.0 / noise) ** 2
    assert spent[0] == pytest.approx(0.3)
    assert np.ptp(spent[1:]) == pytest.approx(0)


def test_equal_noise_and_no_noise_are_special_cases() -> None:
    assert np.ptp(noise_schedule(1.0, 10, 0.1)) == pytest.approx(0)
    assert noise_schedule(inf, 3).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("mu", "rounds", "share", "sensitivity"),
    [
        (0.0, 3, 0.3, 2.0),
        (float("nan"), 3, 0.3, 2.0),
        (1, 0, 0.3, 2.0),
        (1, 3, 1.0, 2.0),
        (1, 3, 0.3, 0.0),
    ],
)
def test_refuses_what_is_no_budget(
    mu: float, rounds: int, share: float, sensitivity: float
) -> None:
    with pytest.raises(TrustError) as fault:
        noise_schedule(mu, rounds, share, sensitivity=sensitivity)
    assert "\n" not in str(fault.value)
