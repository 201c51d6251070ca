"""Clinics that sell uploads: payment and ledger read the same epsilon."""

import pytest

from federation.runner import run_one
from server.errors import RunFailed
from strategies.presets import compose
from strategies.privacy.ledger import privacy_price
from strategies.privacy.mechanisms import spent_epsilon
from strategies.settings import SettingsError

RATE = 1_000_000


def test_each_upload_is_offered_at_the_price_of_the_epsilon_its_ledger_is_charged() -> None:
    settings = compose("dp-gd", {"price_per_epsilon": RATE, "record_value": 0.02, "rounds": 4})
    run = run_one(settings)
    spent = [spent_epsilon(run.settings, 27, 1.0, uploads) for uploads in range(5)]
    worth = [round(0.02 * 1e6) * size for size in run.sizes]
    for record in run.rounds[1:]:
        cost = spent[record.round] - spent[record.round - 1]
        price = privacy_price(cost, RATE)
        assert record.metrics["offers"] == record.metrics["winners"] == 20
        assert record.metrics["auction-welfare"] == sum(value - price for value in worth)
        # One channel for every clinic: nobody displaces anybody, so VCG pays the whole value.
        assert record.metrics["paid"] == sum(worth)


def test_privacy_that_costs_more_than_an_upload_is_worth_is_not_bought() -> None:
    settings = compose("dp-gd", {"price_per_epsilon": RATE, "record_value": 0.001, "rounds": 2})
    with pytest.raises(RunFailed, match="of 20 offers none was worth its price"):
        run_one(settings)


def test_a_spent_budget_offers_nothing() -> None:
    settings = compose("dp-gd", {"price_per_epsilon": RATE, "record_value": 0.02, "max_uploads": 2})
    run = run_one(settings)
    assert [len(record.sizes) for record in run.rounds[1:5]] == [20, 20, 0, 0]
    assert all("PrivacyBudgetExhausted" in v["reason"] for v in run.rounds[3].verdicts)


def test_only_a_proven_epsilon_has_a_price() -> None:
    with pytest.raises(SettingsError, match="price_per_epsilon needs a proven epsilon"):
        compose("global-dp", {"price_per_epsilon": 1})
