"""The ledger equals the direct sum of eqs. 1-4, at any moment and after any history."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.reputation import (
    NEGATIVE,
    POSITIVE,
    ReputationError,
    ReputationLedger,
    ReputationSettings,
    faded,
)


def _direct(history, constants):
    """Return opinions and R (mean over users) by the direct sum."""
    slots = np.array(history)
    found = faded(slots == POSITIVE, slots == NEGATIVE, constants)
    return found, found.reputation(constants).mean(axis=-1)


@given(
    window=st.integers(1, 6),
    slots=st.integers(1, 15),
    devices=st.integers(1, 4),
    users=st.integers(1, 5),
    fading=st.floats(0.05, 0.95),
    weight=st.floats(0.1, 0.9),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_ledger_equals_the_direct_sum(window, slots, devices, users, fading, weight, seed):
    """Every slot of histories up to several windows long, expiry included."""
    constants = ReputationSettings(
        window=window, fading=fading, positive_weight=weight, negative_weight=1 - weight
    )
    ledger = ReputationLedger(devices, users, constants, keep_users=True)
    rng = np.random.default_rng(seed)
    history = []
    for _ in range(slots):
        history.append(rng.integers(0, 3, (devices, users), dtype=np.uint8))
        ledger.record(history[-1])
        opinions, reputation = _direct(history, constants)
        np.testing.assert_allclose(ledger.reputation(), reputation, rtol=0, atol=1e-12)
        np.testing.assert_allclose(ledger.opinions(), opinions, rtol=0, atol=1e-12)


def test_no_drift_over_a_long_run():
    """After 5,000 slots the ledger still equals the direct sum over the last Y."""
    constants = ReputationSettings()
    ledger = ReputationLedger(6, 10, constants)
    history = np.random.default_rng(0).integers(0, 3, (5_000, 6, 10), dtype=np.uint8)
    for events in history:
        ledger.record(events)
    _, reputation = _direct(history[-50:], constants)
    np.testing.assert_allclose(ledger.reputation(), reputation, rtol=0, atol=1e-14)


def test_a_slot_leaves_no_trace_after_the_window():
    """Blamed once, silent for Y slots: exactly alpha again, and trusted."""
    constants = ReputationSettings(window=5)
    ledger = ReputationLedger(1, 3, constants)
    ledger.record(np.full((1, 3), NEGATIVE, dtype=np.uint8))
    for _ in range(4):
        assert not ledger.trusted()[0]
        ledger.record(np.zeros((1, 3), dtype=np.uint8))
    assert not ledger.trusted()[0]
    ledger.record(np.zeros((1, 3), dtype=np.uint8))
    assert ledger.reputation()[0] == constants.base_rate
    assert ledger.trusted()[0]


def test_reputation_lives_between_blame_by_all_and_praise_by_all():
    """The note's bounds: R starts at .5 and lives in [.3125, .643]."""
    ledger = ReputationLedger(2, 4, ReputationSettings())
    assert ledger.reputation().tolist() == [0.5, 0.5]
    for _ in range(50):
        ledger.record(np.array([[POSITIVE] * 4, [NEGATIVE] * 4], dtype=np.uint8))
    np.testing.assert_allclose(ledger.reputation(), [0.9 / 1.4, 0.5 / 1.6])


def test_newcomers_start_vacuous():
    """Growing changes no reputation but by the new users, who are vacuous, in eq. 4's mean."""
    constants = ReputationSettings(window=4)
    ledger = ReputationLedger(2, 2, constants, keep_users=True)
    history = np.random.default_rng(1).integers(0, 3, (6, 2, 2), dtype=np.uint8)
    for events in history:
        ledger.record(events)
    ledger.grow(3, users=5)
    padded = np.pad(history, ((0, 0), (0, 1), (0, 3)))
    opinions, reputation = _direct(padded, constants)
    np.testing.assert_allclose(ledger.reputation(), reputation, atol=1e-14)
    np.testing.assert_allclose(ledger.opinions(), opinions, atol=1e-14)
    with pytest.raises(ReputationError, match="cannot shrink"):
        ledger.grow(1)


@pytest.mark.parametrize("slots", [0, 3, 11])
def test_state_survives_a_restart(slots):
    """Restored from its state a ledger goes on to the last bit."""
    constants = ReputationSettings(window=4)
    rng = np.random.default_rng(2)
    first = ReputationLedger(3, 5, constants)
    for _ in range(slots):
        first.record(rng.integers(0, 3, (3, 5), dtype=np.uint8))
    second = ReputationLedger(3, 5, constants)
    second.restore(first.state())
    for _ in range(3):
        events = rng.integers(0, 3, (3, 5), dtype=np.uint8)
        first.record(events)
        second.record(events)
        np.testing.assert_array_equal(first.reputation(), second.reputation())


def test_wrong_shapes_are_refused():
    """Events of another size and a state of another ledger."""
    ledger = ReputationLedger(3, 5, ReputationSettings())
    with pytest.raises(ReputationError, match=r"shape \(5, 3\)"):
        ledger.record(np.zeros((5, 3), dtype=np.uint8))
    with pytest.raises(ReputationError, match="another ledger"):
        ledger.restore({"positive": np.zeros((2, 4)), "negative": np.zeros((2, 4))})
    with pytest.raises(ReputationError, match="keep_users"):
        ledger.opinions()
    with pytest.raises(ReputationError, match="there must be a user"):
        ReputationLedger(3, 0, ReputationSettings())
