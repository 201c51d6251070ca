"""Noised ratings: charged with the uploads, refused when that is too much, and lied about."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from hypothesis import given
from hypothesis import strategies as st

import tests.peers  # noqa: F401 - sets the task that Flower's messages belong to
from clients.app import app
from clients.ledger_mod import MU_SQUARED, RATED, SPENT, data_name, ratings_of
from clients.rating_ledger import charged_rating
from federation.backends.inprocess import run_config
from strategies.attack_settings import attackers_of
from strategies.presets import compose
from strategies.privacy.accounting import compose as composed
from strategies.privacy.accounting import epsilon_of_mu
from strategies.privacy.ledger import PrivacyBudgetExhausted
from strategies.privacy.ledger_store import LedgerStore
from strategies.privacy.mechanisms import slice_counts_of, spent_epsilon, upload_cost
from strategies.settings import Settings
from strategies.wrappers.protocol import EXHAUSTED, REFUSAL
from strategies.wrappers.vectors import to_array

NOISED = {"selection": "reputation", "detector": "algorithm1", "ratings": "noised"}
RUN = compose("dp-gd", {**NOISED, "epsilon": 2.0, "clients": 7})
UPLOAD, RATING = upload_cost(RUN, 27, 1.0)[0], slice_counts_of(RUN).rating_mu


def context(settings: Settings, partition: int = 2, **node: Any) -> Context:
    config = {"partition-id": partition, "num-partitions": settings.clients, **node}
    return Context(1, 1002, config, RecordDict(), run_config(settings))


def ask(
    own: Context, kind: str = "evaluate", number: int = 1, weights: np.ndarray | None = None
) -> dict[str, Any]:
    """Return a clinic's figures, or why it gives none."""
    model = np.full(10, 0.1) if weights is None else weights
    content = RecordDict(
        {
            "arrays": ArrayRecord({"model": to_array(model)}),
            "config": ConfigRecord({"server-round": number}),
        }
    )
    reply = app(Message(content, dst_node_id=1002, message_type=kind), own)
    if REFUSAL in reply.content:
        assert list(reply.content) == [REFUSAL]
        return {"refused": reply.content[REFUSAL][REFUSAL]}
    return dict(reply.content["metrics"].items())


def test_uploads_and_ratings_are_one_composition_against_the_clinics_limit() -> None:
    """Ten of each cost eps 2.302, as the report says; a limit below that ends in between."""
    assert spent_epsilon(RUN, 27, 1.0, 10, 1e-5, 10) == pytest.approx(
        epsilon_of_mu(composed([UPLOAD] * 10 + [RATING] * 10), 1e-5)
    )
    assert spent_epsilon(RUN, 27, 1.0, 10, 1e-5, 10) == pytest.approx(2.302, abs=1e-3)
    limit = epsilon_of_mu(composed([UPLOAD] * 5 + [RATING] * 4), 1e-5) * (1 + 1e-9)
    own = context(RUN, **{"max-epsilon": limit})
    for number in range(1, 5):
        assert "refused" not in ask(own, "train", number)
        assert "refused" not in ask(own, "evaluate", number)
    assert own.state[RATED]["ratings"] == own.state[SPENT]["uploads"] == 4
    assert own.state[SPENT][MU_SQUARED] == pytest.approx(4 * UPLOAD**2)
    assert "refused" not in ask(own, "train", 5)
    assert str(ask(own, "evaluate", 5)["refused"]).startswith(EXHAUSTED)
    assert str(ask(own, "train", 6)["refused"]).startswith(EXHAUSTED)
    assert own.state[RATED]["ratings"] == 4


@given(st.integers(0, 12), st.integers(0, 8), st.floats(0.05, 4.0))
def test_a_rating_is_refused_exactly_when_the_composition_passes_the_limit(
    uploads: int, rated: int, limit: float
) -> None:
    from flwr.app import MetricRecord

    own = context(RUN, **{"max-epsilon": limit})
    own.state[SPENT] = MetricRecord({"uploads": uploads, MU_SQUARED: uploads * UPLOAD**2})
    own.state[RATED] = MetricRecord({"ratings": rated})
    spent = epsilon_of_mu(composed([UPLOAD] * uploads + [RATING] * (rated + 1)), 1e-5)
    message = Message(RecordDict(), dst_node_id=1002, message_type="evaluate")
    if spent > limit:
        with pytest.raises(PrivacyBudgetExhausted, match=f"rating {rated + 1} would bring"):
            charged_rating(message, own, RUN, lambda: 3)
        assert ratings_of(own) == rated
    else:
        assert charged_rating(message, own, RUN, lambda: 3) == 3
        assert ratings_of(own) == rated + 1


def test_no_more_ratings_than_the_noise_was_made_for() -> None:
    own = context(RUN)
    for number in range(10):
        assert "refused" not in ask(own, "evaluate", number + 1)
    assert "calibrated for 10" in ask(own, "evaluate", 1)["refused"]


@pytest.mark.parametrize("rating", [4.0, 6.0])
def test_a_clinics_limit_on_nominal_epsilon_holds_for_ratings(rating: float) -> None:
    own = context(RUN.changed(rating_epsilon=rating), **{"max-nominal-epsilon": 5.0})
    assert ("refused" in ask(own)) == (rating > 5.0)


def test_a_ledger_on_disk_adds_both_up_and_answers_again_with_the_same_bits(
    tmp_path: Path,
) -> None:
    settings = RUN.changed(noise="system", ledger=str(tmp_path / "l.db"), rating_epsilon=0.01)
    own = context(settings)
    ask(own, "train", 1)
    first = ask(own)["complained"]
    assert all(ask(own)["complained"] == first for _ in range(12))  # fresh noise would differ
    ask(own, number=2)
    store = LedgerStore(f"sqlite:///{tmp_path / 'l.db'}")
    ledger = store.load(data_name(own, settings))
    run = ledger.charges[0].run
    assert (ledger.uploads(), ledger.ratings(run), len(ledger.charges)) == (1, 2, 3)
    small = slice_counts_of(settings).rating_mu
    for adversary in ("server", "eavesdropper", "broadcast"):
        assert ledger.epsilon(adversary, 1e-5) == pytest.approx(
            epsilon_of_mu(composed([UPLOAD, small, small]), 1e-5)
        )
    store.close()


def test_a_limit_on_disk_refuses_the_rating_and_charges_nothing(tmp_path: Path) -> None:
    own = context(RUN, ledger=str(tmp_path / "l.db"), **{"max-epsilon": 0.7, "deployed": True})
    assert "refused" not in ask(own, "train", 1)
    said = [ask(own, number=number) for number in range(1, 11)]
    given = [s for s in said if "refused" not in s]
    assert 0 < len(given) < 10
    store = LedgerStore(f"sqlite:///{tmp_path / 'l.db'}")
    ledger = store.load(data_name(own, RUN))
    assert ledger.epsilon("server", 1e-5) <= 0.7
    assert len(ledger.charges) == 1 + len(given)
    store.close()


def test_what_is_said_is_two_bits_of_the_classes_whatever_a_clinic_holds() -> None:
    """A model that calls everything healthy: with next to no noise the diseased complain."""
    loud = RUN.changed(rating_epsilon=1e6)
    healthy = np.zeros(10)  # every score is 0, which is no disease
    found = ask(context(loud), weights=healthy)
    assert (found["visited"], found["complained"]) == (3, 2)
    assert ask(context(loud), weights=-healthy)["complained"] == 2


@pytest.mark.parametrize(("how", "said"), [("bad-mouth", 3), ("praise", 0), ("none", 2)])
@pytest.mark.parametrize("ratings", ["public", "noised"])
def test_hostile_clinics_rate_as_the_run_says(how: str, said: int, ratings: str) -> None:
    loud = {"rating_epsilon": 1e6} if ratings == "noised" else {}
    values = {**NOISED, **loud, "ratings": ratings, "clients": 7, "rating_attack": how}
    attacked = compose("dp-gd", {**values, "attack": "sign-flip", "attackers": 2})
    hostile = attackers_of(attacked)[0]
    own = context(attacked, hostile)
    assert ask(own, weights=np.zeros(10))["complained"] == said
    assert ratings_of(own) == (how == "none" and ratings == "noised")
    honest = next(n for n in range(7) if n not in attackers_of(attacked))
    assert ask(context(attacked, honest), weights=np.zeros(10))["complained"] == 2


def test_before_its_time_an_attacker_rates_honestly() -> None:
    values = {**NOISED, "ratings": "public", "clients": 7, "attack": "sign-flip", "attackers": 2}
    asleep = compose("dp-gd", {**values, "attack_schedule": "from:5"})
    own = context(asleep, attackers_of(asleep)[0])
    assert ask(own, number=4, weights=np.zeros(10))["complained"] == 2
    assert ask(own, number=5, weights=np.zeros(10))["complained"] == 3
