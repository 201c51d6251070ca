"""The ledger: adds up, refuses, is idempotent, survives restarts, prices what it charges."""

from math import inf, sqrt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.privacy.accounting import (
    AccountingError,
    SampledRelease,
    epsilon_of_mu,
    get_epsilon,
)
from strategies.privacy.adversaries import Release
from strategies.privacy.ledger import (
    Budget,
    Charge,
    Ledger,
    PrivacyBudgetExhausted,
    privacy_price,
)

DELTA = 1e-5


def charge(run: str, round_: int, mu: float = 0.1, broadcast: str = "") -> Charge:
    mus = {"server": mu, "eavesdropper": mu / 2, "broadcast": mu / 4}
    return Charge(run, round_, broadcast or f"{run}-{round_}", mus)


def test_rounds_and_runs_add_up_by_adversary() -> None:
    ledger = Ledger()
    for run, rounds in (("first", 3), ("second", 6)):
        for round_ in range(rounds):
            ledger = ledger.charged(charge(run, round_))
    assert ledger.uploads() == 9
    assert ledger.uploads("second") == 6
    assert ledger.epsilon("server", DELTA) == pytest.approx(epsilon_of_mu(0.3, DELTA))
    assert ledger.epsilon("broadcast", DELTA) == pytest.approx(epsilon_of_mu(0.075, DELTA))
    assert ledger.epsilon("server", DELTA, "first") == pytest.approx(
        epsilon_of_mu(0.1 * sqrt(3), DELTA)
    )


def test_a_repeated_release_costs_nothing_but_a_new_broadcast_does() -> None:
    ledger = Ledger().charged(charge("run", 1, broadcast="aa"))
    assert ledger.charged(charge("run", 1, broadcast="aa")) is ledger
    assert ledger.charged(charge("run", 1, broadcast="bb")).uploads() == 2


def test_max_epsilon_stops_before_the_upload_that_would_pass_it() -> None:
    budget = Budget(DELTA, max_epsilon=epsilon_of_mu(0.1 * sqrt(4.5), DELTA))
    ledger = Ledger()
    for round_ in range(4):
        ledger = ledger.charged(charge("run", round_), budget)
    with pytest.raises(PrivacyBudgetExhausted, match="this clinic allows") as refused:
        ledger.charged(charge("another", 0), budget)
    assert "\n" not in str(refused.value)
    assert ledger.uploads() == 4
    assert ledger.charged(charge("run", 3), budget) is ledger  # a repeat is still answered


def test_max_uploads_counts_within_a_run() -> None:
    budget = Budget(DELTA, max_uploads=2)
    ledger = Ledger().charged(charge("a", 0), budget).charged(charge("a", 1), budget)
    with pytest.raises(PrivacyBudgetExhausted, match="max_uploads"):
        ledger.charged(charge("a", 2), budget)
    assert ledger.charged(charge("b", 0), budget).uploads() == 3


def test_an_upload_without_noise_is_unbounded_and_refused_under_any_limit() -> None:
    bare = charge("run", 0, mu=inf)
    assert Ledger().charged(bare).epsilon("server", DELTA) == inf
    with pytest.raises(PrivacyBudgetExhausted):
        Ledger().charged(bare, Budget(DELTA, max_epsilon=1e9))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.floats(0, 3)), max_size=12))
@settings(max_examples=40, deadline=None)
def test_spending_never_falls_and_json_round_trips(rows: list[tuple[str, int, float]]) -> None:
    ledger, before = Ledger(), 0.0
    for run, round_, mu in rows:
        ledger = ledger.charged(charge(run, round_, mu))
        spent = ledger.epsilon("server", DELTA)
        assert spent >= before - 1e-9
        before = spent
    assert Ledger.from_list(ledger.as_list()) == ledger


def test_sampled_rounds_are_composed_by_pld() -> None:
    ledger = Ledger()
    for round_ in range(10):
        ledger = ledger.charged(
            Charge("run", round_, str(round_), sampled=SampledRelease(12.0, 0.5, 1))
        )
    assert ledger.epsilon("server", DELTA) == pytest.approx(get_epsilon(DELTA, 12.0, 10, 0.5))
    mixed = ledger.charged(charge("other", 0, mu=0.2))
    assert mixed.epsilon("server", DELTA) > max(
        ledger.epsilon("server", DELTA), epsilon_of_mu(0.2, DELTA)
    )
    assert Ledger.from_list(mixed.as_list()) == mixed


def test_gaussian_rounds_cost_the_same_through_pld() -> None:
    """A sampled release at q = 1 is a Gaussian one: both paths agree within PLD's rounding."""
    sampled = Ledger().charged(Charge("run", 0, "x", sampled=SampledRelease(8.0, 1.0, 4)))
    assert sampled.epsilon("server", DELTA) == pytest.approx(epsilon_of_mu(0.5, DELTA), rel=0.01)


def test_a_whole_run_of_charges_is_the_report() -> None:
    release = Release(0.5, 0.2, (0.25, 0.75), rounds=10, exposures=3)
    ledger = Ledger()
    for round_ in range(10):
        mus = release.round_mus(0.1, 1, ledger.uploads("run"))
        ledger = ledger.charged(Charge("run", round_, str(round_), mus))
    for name in ("server", "eavesdropper", "broadcast"):
        assert ledger.epsilon(name, DELTA) == pytest.approx(
            epsilon_of_mu(release.mu(name, 0.1, 1), DELTA)  # type: ignore[arg-type]
        )


def test_price_and_ledger_read_the_same_number() -> None:
    ledger = Ledger().charged(charge("run", 0))
    extra = ledger.marginal_epsilon(charge("run", 1), "server", DELTA)
    after = ledger.charged(charge("run", 1))
    assert extra == after.epsilon("server", DELTA) - ledger.epsilon("server", DELTA)
    assert privacy_price(extra, 1_000_000) == pytest.approx(extra * 1e6, abs=1)
    assert privacy_price(0.5, 3) == 2  # rounded up, never a fraction
    assert privacy_price(0.0, 3) == 0
    with pytest.raises(AccountingError):
        privacy_price(inf, 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Budget(0.0),
        lambda: Budget(DELTA, max_epsilon=0.0),
        lambda: Budget(DELTA, max_uploads=-1),
    ],
)
def test_a_budget_that_allows_nothing_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AccountingError):
        call()


def test_store_survives_a_restart_and_answers_repeats_with_the_same_bytes(tmp_path: Path) -> None:
    from strategies.privacy.ledger_store import LedgerStore

    url = f"sqlite:///{tmp_path / 'clinic.db'}"
    budget = Budget(DELTA, max_uploads=2)
    first = LedgerStore(url)
    assert first.record("shard", charge("run", 0), b"one", budget) == b"one"
    first.close()
    again = LedgerStore(url)
    assert again.reply("shard", charge("run", 0).key) == b"one"
    assert again.reply("shard", charge("run", 1).key) is None
    assert again.record("shard", charge("run", 0), b"fresh noise", budget) == b"one"
    assert again.record("shard", charge("run", 1), b"two", budget) == b"two"
    with pytest.raises(PrivacyBudgetExhausted):
        again.record("shard", charge("run", 2), b"three", budget)
    assert again.reply("shard", charge("run", 2).key) is None
    assert again.load("shard") == Ledger((charge("run", 0), charge("run", 1)))
    assert again.load("other") == Ledger()
    again.close()


def test_two_processes_cannot_both_take_the_last_upload(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from strategies.privacy.ledger_store import LedgerStore

    url = f"sqlite:///{tmp_path / 'clinic.db'}"
    LedgerStore(url).close()
    budget = Budget(DELTA, max_uploads=3)

    def attempt(round_: int) -> bool:
        store = LedgerStore(url)
        try:
            store.record("shard", charge("run", round_), b"x", budget)
        except PrivacyBudgetExhausted:
            return False
        finally:
            store.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 3
