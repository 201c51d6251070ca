import numpy as np
import pytest

from strategies.trust.evidence import Evidence
from strategies.trust.mixture import fit, posterior_of
from strategies.trust.settings import TrustSettings

SETTINGS = TrustSettings()


def evidence_of(
    parts: list[tuple[int, np.ndarray]], spread: float = 1.0, seed: int = 0
) -> Evidence:
    rng = np.random.default_rng(seed)
    means = np.concatenate([np.tile(mean, (count, 1)) for count, mean in parts])
    drawn = means + spread * rng.standard_normal(means.shape)
    return Evidence(drawn, np.full(len(drawn), spread**2))


def test_posterior_by_hand_in_one_dimension() -> None:
    """At x = M = 2, v = 1: densities 1, e^-8, e^-2, 1/3 with priors .7 and .1 each."""
    posterior, likelihood = posterior_of(
        np.array([[2.0]]), np.array([[2.0]]), np.ones((1, 1)), SETTINGS
    )
    total = 0.7 + 0.1 * (np.exp(-8) + np.exp(-2) + 1 / 3)
    assert posterior[0, 0] == pytest.approx(0.7 / total)
    assert likelihood[0] == pytest.approx(np.log(total))


def test_tells_honest_from_flipped_absent_and_gross() -> None:
    mean = np.full(10, 3.0)
    parts = [(12, mean), (3, -mean), (3, 0 * mean)]
    found = fit(evidence_of(parts), SETTINGS)
    assert found.majority
    assert (found.honest[:12] > 0.9).all()
    assert (found.honest[12:] < 0.01).all()
    assert np.linalg.norm(found.centre - mean) < 2


def test_a_minority_that_agrees_more_than_the_honest_does_not_win() -> None:
    """Eight copies of one point are the likeliest cluster, but no majority of twenty."""
    mean = np.full(10, 1.5)
    honest = evidence_of([(12, mean)], seed=3)
    direction = np.concatenate([honest.direction, np.tile(-mean, (8, 1))])
    found = fit(Evidence(direction, np.ones(20)), SETTINGS)
    assert found.honest[:12].mean() > 0.9
    assert found.honest[12:].max() < 0.1


def test_without_a_majority_it_says_so() -> None:
    mean = np.full(10, 4.0)
    evidence = evidence_of([(3, mean), (4, -mean), (4, 0 * mean)])
    assert not fit(evidence, SETTINGS).majority


def test_clinics_without_evidence_keep_the_prior() -> None:
    evidence = evidence_of([(6, np.full(4, 5.0))])
    hidden = evidence.without(np.arange(6) == 2)
    assert fit(hidden, SETTINGS).honest[2] == SETTINGS.prior_honest
    nothing = evidence.without(np.ones(6, dtype=bool))
    assert fit(nothing, SETTINGS).honest.tolist() == [SETTINGS.prior_honest] * 6


def test_more_clinics_than_starts() -> None:
    mean = np.full(10, 3.0)
    found = fit(evidence_of([(140, mean), (60, -mean)]), SETTINGS)
    assert (found.honest[:140] > 0.5).mean() > 0.99
    assert (found.honest[140:] < 0.5).all()
