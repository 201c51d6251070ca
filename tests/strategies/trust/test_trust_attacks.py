import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.trust.attacks import ATTACKS, GATE_AWARE, Sight, alie_quantile, attack_named
from strategies.trust.rules import RULES, krum_order
from strategies.trust.schedules import Schedule
from strategies.trust.settings import TrustError


def sight(round_: int = 1, attackers: int = 3, past: np.ndarray | None = None) -> Sight:
    rng = np.random.default_rng(0)
    honest = 1.0 + 0.1 * rng.standard_normal((attackers, 4))
    return Sight(
        round_=round_,
        honest=honest,
        poisoned=-honest,
        noise=rng.standard_normal((attackers, 4)),
        noise_std=np.ones(attackers),
        others=1.0 + rng.standard_normal((14, 4)),
        course=np.ones(4),
        past=np.zeros((0, attackers, 4)) if past is None else past,
        clinics=20,
    )


@pytest.mark.parametrize("name", [*ATTACKS, *GATE_AWARE])
def test_every_attack_uploads_finite_rows_for_each_attacker(name: str) -> None:
    for attackers in (1, 3):
        sent = attack_named(name)(sight(5, attackers), np.random.default_rng(1))
        assert sent.shape == (attackers, 4)
        assert np.isfinite(sent).all()


def test_there_are_twelve() -> None:
    assert len(ATTACKS) == 12


def test_attacks_by_their_formulas() -> None:
    seen, rng = sight(), np.random.default_rng(0)

    def sent(name: str) -> np.ndarray:
        return ATTACKS[name](seen, rng)

    assert sent("sign-flip") == pytest.approx(seen.noise - seen.honest)
    assert sent("label-flip") == pytest.approx(seen.noise + seen.poisoned)
    assert sent("scaled") == pytest.approx(seen.noise - 10 * seen.honest)
    assert sent("free-rider") == pytest.approx(seen.noise)
    assert sent("ipm") == pytest.approx(np.tile(-seen.others.mean(axis=0) / 2, (3, 1)))
    alie = seen.others.mean(axis=0) - 1.5 * seen.others.std(axis=0)
    assert sent("alie") == pytest.approx(np.tile(alie, (3, 1)))
    assert np.ptp(sent("copies"), axis=0) == pytest.approx(np.zeros(4))
    assert sent("drift") == pytest.approx(seen.honest + seen.noise)


def test_replay_sends_what_it_sent_first() -> None:
    past = np.random.default_rng(1).standard_normal((4, 3, 4))
    assert ATTACKS["replay"](sight(5, past=past), np.random.default_rng(0)) == pytest.approx(
        past[0]
    )


def test_alie_quantile_by_hand() -> None:
    """20 clinics, 6 attackers: s = 11 - 6 = 5, (14 - 5) / 14 = .643, Phi^-1 = .366."""
    assert alie_quantile(20, 6) == pytest.approx(0.366, abs=5e-4)


def test_an_unknown_attack_is_refused() -> None:
    with pytest.raises(TrustError, match="unknown attack 'flip'"):
        attack_named("flip")


def test_schedules() -> None:
    assert Schedule.parse("always") == Schedule()
    sleeper = Schedule.parse("from:5")
    assert [sleeper.active(round_, 0.0) for round_ in (4, 5, 6)] == [False, True, True]
    coin = Schedule.parse("probability:0.3")
    assert coin.active(1, 0.29)
    assert not coin.active(1, 0.3)
    episode = Schedule.parse("episode:0.5")
    assert [episode.draw(round_) for round_ in (1, 5, 6, 11)] == [1, 1, 2, 3]
    assert [coin.draw(round_) for round_ in (1, 5, 6)] == [1, 5, 6]


@pytest.mark.parametrize("text", ["sometimes", "probability:2", "from:0", "from:1.5", "episode:x"])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(TrustError) as fault:
        Schedule.parse(text)
    assert "\n" not in str(fault.value)


@given(st.integers(0, 1000))
def test_rules_agree_with_all_when_all_agree(seed: int) -> None:
    point = np.random.default_rng(seed).standard_normal(5)
    for rule in RULES.values():
        found = rule(np.tile(point, (9, 1)), np.full(9, 1 / 9), 2)
        assert found == pytest.approx(point)


def test_krum_by_hand() -> None:
    """Points 0, 1, 3, 10 and 20, f = 1, so two neighbours: scores 10, 5, 13, 130, 389."""
    points = np.array([[0.0], [1.0], [3.0], [10.0], [20.0]])
    assert krum_order(points, 1).tolist() == [1, 0, 2, 3, 4]
    shares = np.full(5, 0.2)
    assert RULES["krum"](points, shares, 1).tolist() == [1.0]
    assert RULES["multi-krum"](points, shares, 1).tolist() == [0.5]
    assert RULES["median"](points, shares, 1).tolist() == [3.0]
    assert RULES["geometric-median"](points, shares, 1) == pytest.approx([3.0], abs=1e-3)
