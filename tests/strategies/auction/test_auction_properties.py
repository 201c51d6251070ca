"""What must hold of any auction here: hand-worked numbers and properties."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.auction import AuctionError, cap_budget_not_truthful, settle, solve, tie_keys
from strategies.auction import solver as solver_module

RULES = ["vcg", "greedy"]

offers = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 20), st.integers(1, 4)), min_size=1, max_size=9
)


def _solve(market, capacity, **options):
    values, bids, channels = (
        np.array(column, dtype=np.int64) for column in zip(*market, strict=True)
    )
    options.setdefault("ties", np.arange(len(market)))
    return solve(values, bids, channels, capacity, **options)


def test_hand_worked_market():
    """Three channels; offers worth 10-4 for 2, 8-3 for 1, 9-5 for 2 channels.

    The first two win with 6 + 5 = 11. Without the first: 5 + 4 = 9, so it is paid
    4 + 11 - 9 = 6; without the second: 6, so it is paid 3 + 11 - 6 = 8.
    """
    outcome = _solve([(10, 4, 2), (8, 3, 1), (9, 5, 2)], 3)
    assert outcome.winners.tolist() == [True, True, False]
    assert outcome.welfare == 11
    assert outcome.payments.tolist() == [6, 8, 0]


def test_hand_worked_greedy():
    """Same market, densities 3, 5, 2 a channel.

    The first would be kept out by the third, so its charge is 2 * 4/2 = 4; the second fits even
    behind the others, so its charge is 0.
    """
    outcome = _solve([(10, 4, 2), (8, 3, 1), (9, 5, 2)], 3, rule="greedy")
    assert outcome.winners.tolist() == [True, True, False]
    assert outcome.payments.tolist() == [10 - 4, 8, 0]


def test_channel_cost_is_subtracted_from_welfare():
    """c_hat of eq. 8 is a constant: it changes no winner."""
    assert _solve([(10, 4, 2)], 3, channel_cost=5).welfare == 1


@pytest.mark.parametrize("rule", RULES)
@given(market=offers, capacity=st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_winners_are_paid_at_least_their_bid(market, capacity, rule):
    """Individual rationality, and nothing to losers or to offers worth no more than their bid."""
    outcome = _solve(market, capacity, rule=rule)
    payments = outcome.payments
    assert (payments[outcome.winners] >= outcome.bids[outcome.winners]).all()
    assert (payments[~outcome.winners] == 0).all()
    assert not outcome.winners[outcome.values <= outcome.bids].any()


@pytest.mark.parametrize("rule", RULES)
@given(market=offers, capacity=st.integers(1, 12), which=st.integers(0, 8))
@settings(max_examples=150, deadline=None)
def test_payment_is_the_critical_bid(market, capacity, which, rule):
    """A winner still wins below its payment and no longer wins above it."""
    outcome = _solve(market, capacity, rule=rule)
    if not outcome.winners.any():
        return
    i = int(np.flatnonzero(outcome.winners)[which % outcome.winners.sum()])
    price = int(outcome.payments[i])
    value, _, size = market[i]
    for bid, wins in ((price - 1, True), (price + 1, False)):
        if bid >= 0:
            changed = [*market[:i], (value, bid, size), *market[i + 1 :]]
            assert _solve(changed, capacity, rule=rule).winners[i] == wins


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("table_work", [solver_module.TABLE_WORK, 0], ids=["table", "classes"])
@given(market=offers, capacity=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_position_of_an_offer_does_not_matter(table_work, market, capacity, seed, rule):
    """Shuffling offers with their tie keys shuffles the outcome, ties included."""
    rng = np.random.default_rng(seed)
    ties, order = rng.permutation(len(market)), rng.permutation(len(market))
    before, solver_module.TABLE_WORK = solver_module.TABLE_WORK, table_work
    try:
        plain = _solve(market, capacity, ties=ties, rule=rule)
        shuffled = _solve([market[i] for i in order], capacity, ties=ties[order], rule=rule)
    finally:
        solver_module.TABLE_WORK = before
    np.testing.assert_array_equal(plain.winners[order], shuffled.winners)
    np.testing.assert_array_equal(plain.payments[order], shuffled.payments)


def test_ties_go_to_the_smaller_key_and_every_device_gets_its_turn():
    """Ten equal offers for one channel: the round's hash decides, evenly over rounds."""
    names = [f"device-{i}" for i in range(10)]
    wins = np.zeros(10)
    for round_number in range(500):
        ties = tie_keys(1, "auction", round_number, names)
        winners = _solve([(9, 4, 1)] * 10, 1, ties=ties).winners
        assert np.flatnonzero(winners).tolist() == [int(ties.argmin())]
        wins += winners
    assert wins.min() > 25  # 50 expected; 25 is 3.7 standard deviations below


def test_tie_keys_do_not_depend_on_who_else_takes_part():
    """A device's key is its own: subsets and orders give the same key."""
    keys = tie_keys(1, "auction", 4, ["a", "b", "c"])
    assert keys[2] == tie_keys(1, "auction", 4, ["c"])[0]
    assert len({*keys, *tie_keys(1, "blame", 4, ["a"]), *tie_keys(1, "auction", 5, ["a"])}) == 5


def test_payment_uses_the_verified_value():
    """Claimed 10, delivered worth 7: 3 less than the 6 of the hand-worked market."""
    outcome = _solve([(10, 4, 2), (8, 3, 1), (9, 5, 2)], 3)
    assert settle(outcome, [7, 8, 0]).tolist() == [3, 8, 0]


@pytest.mark.parametrize("verified", [0, 1, 4])
def test_nothing_is_released_for_a_worthless_delivery(verified):
    """The first winner's charge is 10 - 6 = 4: up to that nothing is paid, never a fine."""
    outcome = _solve([(10, 4, 2), (8, 3, 1), (9, 5, 2)], 3)
    assert settle(outcome, [verified, 8, 0]).tolist() == [0, 8, 0]


def test_a_delivery_over_its_booking_is_not_paid():
    """The booking of channels is enforced, one offer at a time."""
    outcome = _solve([(10, 4, 2), (8, 3, 1), (9, 5, 2)], 3)
    assert settle(outcome, outcome.values, used_channels=[3, 1, 9]).tolist() == [0, 8, 0]


@given(market=offers, capacity=st.integers(1, 12), reserve=st.integers(0, 25))
@settings(max_examples=150, deadline=None)
def test_reserve_price_drops_offers_and_caps_payments(market, capacity, reserve):
    """As if offers above r had never come, and min(p, r) to the rest."""
    outcome = _solve(market, capacity, reserve=reserve)
    assert not outcome.winners[outcome.bids > reserve].any()
    kept = [(v if b <= reserve else 0, b, c) for v, b, c in market]
    plain = _solve(kept, capacity)
    np.testing.assert_array_equal(outcome.winners, plain.winners)
    np.testing.assert_array_equal(outcome.payments, np.minimum(plain.payments, reserve))


@given(market=offers, capacity=st.integers(1, 12), budget=st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_budget_cap_holds_and_keeps_payments(market, capacity, budget):
    """Never over budget, winners a subset, and the payments of those kept unchanged."""
    outcome = _solve(market, capacity)
    capped = cap_budget_not_truthful(outcome, budget, np.arange(len(market)))
    assert capped.payments.sum() <= budget
    assert not (capped.winners & ~outcome.winners).any()
    np.testing.assert_array_equal(capped.payments[capped.winners], outcome.payments[capped.winners])
    assert capped.welfare == (outcome.values - outcome.bids)[capped.winners].sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bids": [-1, 2]}, "bid -1 of offer 0 is negative"),
        ({"channels": [1, 0]}, "offer 1 books 0 channels"),
        ({"channels": [-3, 1]}, "offer 0 books -3 channels"),
        ({"capacity": 0}, "capacity is 0 channels"),
        ({"values": [0.5, 1.0]}, "round to micro-credits"),
        ({"values": [[5, 6]]}, "shape"),
        ({"bids": [1]}, "shape"),
        ({"ties": [1]}, "pass a key per offer"),
        ({"reserve": -1}, "reserve price -1"),
        ({"rule": "dutch"}, "unknown auction rule 'dutch'"),
        ({"values": [2**62, 2**62]}, "overflows"),
    ],
)
def test_bad_input_is_refused_in_one_line(change, message):
    """Each error says what, why and what to do."""
    market = {"values": [5, 6], "bids": [1, 2], "channels": [1, 1], "capacity": 3, "ties": [0, 1]}
    market |= change
    with pytest.raises(AuctionError, match=message) as caught:
        solve(**market)
    assert "\n" not in str(caught.value)


def test_a_market_without_offers_has_no_winners():
    """An empty round is not an error."""
    outcome = solve([], [], [], 5, ties=[])
    assert outcome.welfare == 0
    assert outcome.payments.shape == (0,)


def test_small_markets_never_import_numba():
    """Start-up time: a market of 20 is solved without the compiler."""
    code = (
        "import sys, numpy as np; from strategies.auction import solve;"
        "solve(np.full(20, 9), np.full(20, 3), np.full(20, 2), 20, ties=np.arange(20));"
        "sys.exit('numba' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
