import numpy as np
import pytest

from strategies.trust.known_noise import KnownNoiseDetector
from strategies.trust.noise_free import NoiseFreeDetector
from strategies.trust.reasons import Reason
from strategies.trust.settings import TrustError, TrustSettings
from tests.strategies.trust.trust_samples import NAMES, SIZE, uploads

NOISE = 1.5


def flipped(rng: np.random.Generator, round_: int, count: int = 6) -> np.ndarray:
    sent = uploads(rng, round_, noise=NOISE)
    mean = uploads(rng, round_, noise=0.0)
    sent[:count] -= 2 * mean[:count]
    return sent


def test_flippers_lose_their_weight_and_the_honest_keep_theirs() -> None:
    rng, detector = np.random.default_rng(0), KnownNoiseDetector(10)
    for round_ in range(1, 6):
        judged = detector.update(round_, NAMES, flipped(rng, round_), SIZE, NOISE)
    assert (judged.honest[:6] < 0.05).all()
    assert (judged.honest[6:] > 0.5).all()
    assert (~judged.trusted()[:6]).all()
    assert Reason.NONE not in judged.reasons[:6]
    assert Reason.POSTERIOR in judged.reasons[:6]
    assert judged.belief + judged.disbelief + judged.uncertainty == pytest.approx(np.ones(20))
    assert judged.reputation == pytest.approx(judged.belief + judged.uncertainty / 2)


def test_a_newcomer_is_vacuous_and_just_trusted() -> None:
    rng, detector = np.random.default_rng(0), KnownNoiseDetector(10)
    detector.update(1, NAMES, uploads(rng, 1), SIZE, NOISE)
    newcomer = detector.standing(["nobody"])
    assert newcomer.uncertainty.tolist() == [1.0]
    assert newcomer.reputation.tolist() == [0.5]
    assert newcomer.trusted().tolist() == [True]


def test_clinics_may_be_missing_new_and_in_any_order() -> None:
    rng, detector = np.random.default_rng(4), KnownNoiseDetector(10)
    for round_ in range(1, 13):
        sent = flipped(rng, round_)
        chosen = rng.permutation(20 if round_ > 3 else 15)[:10]
        judged = detector.update(
            round_, [NAMES[who] for who in chosen], sent[chosen], np.full(10, SIZE), NOISE
        )
        assert judged.identities == tuple(NAMES[who] for who in chosen)
    standing = detector.standing(NAMES)
    assert standing.trusted()[6:].mean() > 0.85
    assert standing.trusted()[:6].mean() < 0.2


def test_the_order_of_the_clinics_does_not_matter() -> None:
    orders = np.random.default_rng(1).permutation(20), np.arange(20)
    found = []
    for order in orders:
        rng, detector = np.random.default_rng(0), KnownNoiseDetector(10)
        for round_ in range(1, 6):
            sent = flipped(rng, round_)[order]
            detector.update(round_, [NAMES[who] for who in order], sent, SIZE, NOISE)
        found.append(detector.standing(NAMES))
    assert found[0].honest == pytest.approx(found[1].honest, abs=1e-9)
    assert found[0].reasons == found[1].reasons


@pytest.mark.parametrize(("kind", "noise"), [(KnownNoiseDetector, NOISE), (NoiseFreeDetector, 0.0)])
def test_a_restored_detector_goes_on_to_the_same_bits(kind: type, noise: float) -> None:
    rng, whole = np.random.default_rng(2), kind(10)
    rounds = [flipped(rng, round_) for round_ in range(1, 9)]
    for round_ in range(1, 5):
        whole.update(round_, NAMES, rounds[round_ - 1], SIZE, noise)
    resumed = kind(10)
    resumed.restore(whole.state())
    assert (resumed.standing(NAMES).honest == whole.standing(NAMES).honest).all()
    for round_ in range(5, 9):
        one, other = (
            detector.update(round_, NAMES, rounds[round_ - 1], SIZE, noise)
            for detector in (whole, resumed)
        )
        assert (one.honest == other.honest).all()
        assert one.reasons == other.reasons


@pytest.mark.parametrize("clinics", [1, 2, 3, 4])
def test_few_clinics_are_judged_without_a_fault(clinics: int) -> None:
    rng = np.random.default_rng(0)
    for detector, noise in ((KnownNoiseDetector(10), NOISE), (NoiseFreeDetector(10), 0.0)):
        for round_ in range(1, 8):
            sent = uploads(rng, round_, clinics, noise or 0.3)
            judged = detector.update(round_, NAMES[:clinics], sent, SIZE, noise)
            assert np.isfinite(judged.honest).all()
            assert ((judged.honest >= 0) & (judged.honest <= 1)).all()


def test_what_cannot_be_used_is_refused_and_changes_nothing() -> None:
    rng, detector = np.random.default_rng(0), KnownNoiseDetector(10)
    sent = uploads(rng, 1)
    detector.update(1, NAMES, sent, SIZE, NOISE)
    before = detector.state()
    broken = sent.copy()
    broken[3, 3] = np.nan
    for arguments in (
        (1, NAMES, sent, SIZE, NOISE),
        (2, NAMES, broken, SIZE, NOISE),
        (2, NAMES, sent[:, :9], SIZE, NOISE),
        (2, NAMES[:1] * 20, sent, SIZE, NOISE),
        (2, NAMES, sent, 0.0, NOISE),
        (2, NAMES, sent, SIZE, 0.0),
        (2, NAMES, sent, SIZE, -1.0),
    ):
        with pytest.raises(TrustError) as fault:
            detector.update(*arguments)
        assert "\n" not in str(fault.value)
        after = detector.state()
        assert all(
            np.array_equal(before[name], after[name], equal_nan=name == "noise") for name in before
        )
    with pytest.raises(TrustError, match="another"):
        KnownNoiseDetector(9).restore(before)


def test_without_noise_flippers_copies_and_riders_are_found() -> None:
    rng, detector = np.random.default_rng(3), NoiseFreeDetector(10)
    for round_ in range(1, 6):
        sent = uploads(rng, round_, noise=0.4)
        sent[:2] *= -1
        sent[2:4] = sent[2]
        sent[4] = 0.0
        judged = detector.update(round_, NAMES, sent, SIZE)
    assert judged.honest[:5].max() < 0.1
    assert judged.honest[5:].min() > 0.5
    assert judged.reasons[2] == judged.reasons[3] == Reason.COPY
    assert judged.reasons[4] == Reason.ZERO


def test_without_noise_copies_that_rest_a_round_stay_out_and_pull_nobody() -> None:
    """Six of twenty send one vector in rounds 1 and 2 and are not asked in round 3."""
    rng, detector = np.random.default_rng(3), NoiseFreeDetector(10)
    honest = slice(6, 20)
    for round_ in range(1, 4):
        sent = uploads(rng, round_, noise=1.5)
        sent[:6] = sent[honest].mean(axis=0) - 1.5
        asked = slice(0, 20) if round_ < 3 else honest
        detector.update(round_, NAMES[asked], sent[asked], SIZE)
    judged = detector.standing(NAMES)
    assert judged.honest[:6].max() == 0.0
    assert set(judged.reasons[:6]) == {Reason.COPY}
    assert judged.honest[6:].min() > 0.5


def test_without_noise_a_replay_of_long_updates_is_found_and_a_lasting_one_is_not() -> None:
    rng, detector = np.random.default_rng(3), NoiseFreeDetector(10)
    rounds = [uploads(rng, round_, noise=0.2) for round_ in range(1, 8)]
    for round_, sent in enumerate(rounds, start=1):
        sent[0] = rounds[0][0]
        sent[1] = rounds[min(round_, 6) - 1][1]
        judged = detector.update(round_, NAMES, sent, SIZE)
    assert judged.reasons[0] in (Reason.REPLAY, Reason.POSTERIOR)
    assert judged.honest[0] < 1e-9
    assert judged.reasons[1] == Reason.NONE


@pytest.mark.parametrize(
    "wrong",
    [
        {"prior_honest": 0.4},
        {"clip_norm": 0.0},
        {"threshold": 0.6},
        {"steps": 0},
        {"shard_spread": -1.0},
    ],
)
def test_settings_outside_the_model_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(TrustError):
        TrustSettings(**wrong)


def test_who_copied_once_is_not_believed_again_and_a_restored_detector_knows() -> None:
    """Six upload one vector in round 4 only; in the window of all rounds that is lost."""
    rng = np.random.default_rng(3)
    names = [f"clinic-{n}" for n in range(20)]
    found = KnownNoiseDetector(10)
    for round_ in range(1, 9):
        uploads = 2.0 * np.exp(-round_) + 3.0 * rng.standard_normal((20, 10))
        if round_ == 4:
            uploads[:6] = uploads[0]
        found.update(round_, names, uploads, 27.0, 3.0)
    assert found.standing(names).honest[:6].tolist() == [0.0] * 6
    assert found.standing(names).reasons[0] is Reason.COPY
    again = KnownNoiseDetector(10)
    again.restore(found.state())
    np.testing.assert_array_equal(again.standing(names).honest, found.standing(names).honest)
