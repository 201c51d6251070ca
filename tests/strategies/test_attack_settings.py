"""Who attacks and when: drawn from the seed alone; every senseless flag is refused in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.broken import ELSEWHERE, FIGURES, UPLOADS
from strategies.attack_settings import (
    BROKEN,
    COLLUDING,
    LEARNING_ATTACKS,
    MALICIOUS,
    attackers_of,
    count_attackers,
    is_active,
)
from strategies.presets import compose
from strategies.settings import Settings, SettingsError
from strategies.trust.attacks import ATTACKS, GATE_AWARE


def settings(**changes: object) -> Settings:
    return compose("fedavg", {"attack": "sign-flip", **changes})


def test_every_name_has_an_attack_behind_it() -> None:
    assert set(MALICIOUS) == {*ATTACKS, *GATE_AWARE}
    assert set(BROKEN) == {*UPLOADS, *FIGURES, *ELSEWHERE}
    assert set(COLLUDING) <= set(MALICIOUS)
    assert len(set(LEARNING_ATTACKS)) == len(LEARNING_ATTACKS)


@pytest.mark.parametrize(
    ("asked", "clinics", "count"),
    [(0.3, 20, 6), (0.0, 20, 0), (1.0, 20, 1), (8.0, 20, 8), (19.0, 20, 19), (0.05, 20, 1)],
)
def test_a_share_below_one_and_a_number_from_one_on(asked: float, clinics: int, count: int) -> None:
    chosen = settings(attackers=asked, clients=clinics)
    assert count_attackers(chosen) == len(attackers_of(chosen)) == count


@given(st.integers(0, 2**31), st.integers(2, 60), st.floats(0, 0.99))
def test_attackers_are_drawn_from_the_seed_alone(seed: int, clinics: int, share: float) -> None:
    count = round(share * clinics)
    if (share and not count) or count >= clinics:
        return
    chosen = settings(seed=seed, clients=clinics, attackers=share)
    drawn = attackers_of(chosen)
    assert len(drawn) == count
    assert list(drawn) == sorted(set(drawn) & set(range(clinics)))
    assert attackers_of(chosen.changed(attack="nan", privacy="dp-gd", steps=1, rounds=7)) == drawn
    more = settings(seed=seed, clients=clinics, attackers=float(max(count, 1)))
    assert set(drawn) <= set(attackers_of(more))


def test_another_seed_draws_others() -> None:
    assert len({attackers_of(settings(seed=seed)) for seed in range(20)}) > 10


def test_nobody_attacks_without_an_attack_or_on_a_market() -> None:
    assert attackers_of(compose("fedavg", {})) == ()
    assert attackers_of(settings(attack="none", attackers=6.0)) == ()
    market = compose("reputation", {"dataset": "carrada"})
    assert market.attack == "mixed"
    assert attackers_of(market) == ()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"attack": "sign-flop"}, "unknown attack 'sign-flop'; did you mean 'sign-flip'"),
        ({"attack": "mitm"}, "it goes with --dataset carrada --task twin"),
        ({"attackers": -1.0}, "--attackers must be at least 0"),
        ({"attackers": 21.0}, "21 of 20 clinics leaves no honest one: name at most 19"),
        ({"attackers": 20.0}, "leaves no honest one"),
        ({"attackers": 1e300}, "--attackers must be at most 10000"),
        ({"attackers": float("nan")}, "must be a finite number"),
        ({"attackers": float("inf")}, "must be a finite number"),
        ({"attackers": 2.5}, "neither a share below 1 nor a whole number"),
        ({"attackers": 0.01}, "0.01 of 20 clinics is nobody"),
        ({"clients": 1}, "needs at least two clinics"),
        ({"attack_schedule": "always:0.5"}, "always takes no number"),
        ({"clients": 1, "attackers": 1.0}, "needs at least two clinics"),
        ({"attack_schedule": "rubbish"}, "unknown schedule 'rubbish'"),
        ({"attack_schedule": ""}, "unknown schedule ''"),
        ({"attack_schedule": "from:0"}, "the first is 1"),
        ({"attack_schedule": "from:inf"}, "write always, probability:0.3"),
        ({"attack_schedule": "from:nan"}, "the first is 1"),
        ({"attack_schedule": "from:101"}, "begins after the last of 100 rounds"),
        ({"attack_schedule": "probability:1.5"}, "must lie in 0..1"),
        ({"attack_schedule": "probability:x"}, "'x' is not a number"),
        ({"attack": "", "attackers": 6.0}, "--attackers does nothing without --attack"),
        ({"attack": "", "attack_schedule": "from:3"}, "--attack-schedule does nothing without"),
        ({"dataset": "carrada"}, "unknown value 'sign-flip'; clinics that train"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(changes: dict[str, object], line: str) -> None:
    strategy = "reputation" if "dataset" in changes else "fedavg"
    with pytest.raises(SettingsError) as caught:
        compose(strategy, {"attack": "sign-flip", **changes})
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_centralised_has_nobody_to_attack() -> None:
    with pytest.raises(SettingsError, match="at least two clinics"):
        compose("centralised", {"attack": "nan"})


@pytest.mark.parametrize("name", ["attackers", "attack_schedule"])
def test_a_market_chooses_its_attackers_otherwise(name: str) -> None:
    with pytest.raises(SettingsError, match="is a setting of --dataset bcwd"):
        compose("reputation", {"dataset": "carrada", name: 6.0})


def test_schedules() -> None:
    late = settings(attack_schedule="from:5")
    assert [is_active(late, 3, r) for r in (1, 4, 5, 9)] == [False, False, True, True]
    assert all(is_active(settings(), 3, r) for r in range(1, 9))
    whole = settings(attack_schedule="episode:0.5")
    for clinic in range(20):
        told = [is_active(whole, clinic, r) for r in range(1, 11)]
        assert told == [told[0]] * 5 + [told[5]] * 5


def test_attackers_draw_apart_and_as_often_as_asked() -> None:
    """1,600 draws at .3: three standard deviations are .034."""
    some = settings(attack_schedule="probability:0.3")
    told = [[is_active(some, clinic, r) for r in range(1, 81)] for clinic in range(20)]
    assert abs(sum(map(sum, told)) / 1600 - 0.3) < 0.035
    assert len({tuple(row) for row in told}) == 20
