"""The mu of each adversary: hand-worked cases, monotonicity, the worst clinic."""

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.privacy.accounting import AccountingError
from strategies.privacy.adversaries import ADVERSARIES, Release, release_from_sizes


def test_hand_worked_two_clinics() -> None:
    # sigma_1 = 2, pi = (1/4, 3/4), sigma_2 = 1: noise variance 4 (1/16 + 9/16) + 1 = 3.5
    release = Release(2.0, 1.0, (0.25, 0.75), rounds=9, exposures=4)
    assert release.upload_mu(6.0) == 3.0
    assert release.broadcast_mu(6.0, 1) == pytest.approx(4.5 / sqrt(3.5), rel=1e-15)
    assert release.mu("server", 6.0, 0) == 9.0
    assert release.mu("broadcast", 6.0, 1) == pytest.approx(3 * 4.5 / sqrt(3.5), rel=1e-15)
    eavesdropped = sqrt(4 * 9 + 5 * 4.5**2 / 3.5)
    assert release.mu("eavesdropper", 6.0, 1) == pytest.approx(eavesdropped, rel=1e-15)
    assert release.worst_mu("eavesdropper", 6.0) == release.mu("eavesdropper", 6.0, 1)


@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=8),
    st.floats(0.01, 10),
    st.floats(0, 10),
    st.integers(1, 20),
    st.data(),
)
def test_order_of_adversaries_and_clinics(
    sizes: list[int], sigma_1: float, sigma_2: float, rounds: int, data: st.DataObject
) -> None:
    exposures = data.draw(st.integers(0, rounds))
    release = release_from_sizes(sigma_1, sigma_2, sizes, rounds, exposures)
    for clinic in range(len(sizes)):
        reader, listener, server = (
            release.mu(name, 1.0, clinic) for name in ("broadcast", "eavesdropper", "server")
        )
        assert reader <= listener * (1 + 1e-12)
        assert listener <= server * (1 + 1e-12)
        for name in ADVERSARIES:
            assert release.mu(name, 1.0, clinic) <= release.worst_mu(name, 1.0) * (1 + 1e-12)


def test_overhearing_everything_is_being_the_server() -> None:
    release = Release(1.5, 0.3, (0.5, 0.5), rounds=7, exposures=7)
    assert release.mu("eavesdropper", 1.0, 0) == pytest.approx(
        release.mu("server", 1.0, 0), rel=1e-15
    )


def test_a_nonlinear_aggregation_inherits_the_upload() -> None:
    release = Release(1.5, 0.0, (0.5, 0.5), rounds=7, exposures=1, linear=False)
    assert release.mu("broadcast", 1.0, 0) == pytest.approx(release.mu("server", 1.0, 0))


def test_without_noise_everything_is_lost() -> None:
    release = Release(0.0, 0.0, (0.5, 0.5), rounds=1, exposures=0)
    assert release.worst_mu("server", 1.0) == inf
    assert release.worst_mu("broadcast", 1.0) == inf
    assert release.worst_mu("broadcast", 0.0) == 0.0
    # noise at the server alone protects from a reader, not from the server
    topped = Release(0.0, 2.0, (0.5, 0.5), rounds=1, exposures=0)
    assert topped.worst_mu("server", 1.0) == inf
    assert topped.worst_mu("broadcast", 1.0) == 0.25


def test_mu_is_the_separation_of_simulated_broadcasts() -> None:
    """Oracle by simulation: 200,000 broadcasts in each world, one coordinate, seed fixed.

    The standardised difference of means has standard error sqrt(2/n) = 0.0032; 5 of them.
    """
    rng, runs = np.random.default_rng(5), 200_000
    release = release_from_sizes(0.7, 0.4, [10, 20, 30], rounds=1, exposures=0)
    shares = np.array(release.shares)
    worlds = []
    for moved in (0.0, 1.0):
        uploads = rng.standard_normal((runs, 3)) * 0.7
        uploads[:, 2] += moved
        worlds.append(uploads @ shares + 0.4 * rng.standard_normal(runs))
    separation = (worlds[1].mean() - worlds[0].mean()) / np.sqrt(
        (worlds[0].var() + worlds[1].var()) / 2
    )
    assert separation == pytest.approx(release.broadcast_mu(1.0, 2), abs=0.016)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Release(-1.0, 0.0, (1.0,), 1, 0),
        lambda: Release(1.0, 0.0, (), 1, 0),
        lambda: Release(1.0, 0.0, (0.5, 0.6), 1, 0),
        lambda: Release(1.0, 0.0, (1.0,), 1, 2),
        lambda: release_from_sizes(1.0, 0.0, [0, 2], 1, 0),
    ],
)
def test_what_is_no_release_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AccountingError):
        call()
