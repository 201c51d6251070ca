"""Secure aggregation over Flower messages: exact sums, or an abandoned round with its reason."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, Message
from flwr.serverapp.strategy import Krum

from clients.app import app as client_app
from clients.clinic import clinic_of
from clients.messages import partition_of
from clients.secure_ledger import mus_of
from clients.secure_mod import rows_of
from clients.secure_state import STATE
from federation.backends.inprocess import FIRST_NODE, InProcessGrid, run_config, simulated_nodes
from server.errors import BudgetExhausted, RunFailed
from server.federation import FederatedRun, run_federation
from server.report import run_entry
from strategies.presets import compose
from strategies.privacy.accounting import epsilon_of_mu
from strategies.privacy.shared_upload import (
    bits_of,
    contribution,
    grid_of,
    merged,
    upload_mu,
)
from strategies.settings import Settings
from strategies.wrappers import secure_messages as wire
from strategies.wrappers.secure_aggregation import SecureAggregation

Tamper = Callable[[Message], Any]
N = 7  # threshold 5: two may drop out


def settings_of(**changes: Any) -> Settings:
    """Return settings of seven clinics, seeded; three rounds."""
    return compose("shared-noise", {"clients": N, "rounds": 3, **changes})


class Network(InProcessGrid):
    """Loses, repeats or alters what chosen clinics answer, by message type and round."""

    def __init__(self, settings: Settings, **faults: Any) -> None:
        super().__init__(client_app, simulated_nodes(settings), run_config(settings))  # type: ignore[arg-type]
        self.lost: Mapping[str, Iterable[int]] = faults.get("lost", {})
        self.twice: Mapping[str, Iterable[int]] = faults.get("twice", {})
        self.altered: Mapping[str, Callable[[int, Message], Any]] = faults.get("altered", {})
        self.only_round: int | None = faults.get("only_round")
        self.round = 0

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        messages = list(messages)
        kind = messages[0].metadata.message_type
        self.round += kind == wire.KEYS
        struck = self.only_round in (None, self.round)
        kept = [m for m in messages if not (struck and _of(m) in self.lost.get(kind, ()))]
        if kind in (wire.UNMASK, wire.KEYS, wire.SHARES):
            replies = super().send_and_receive(kept, timeout=timeout)
        else:  # a clinic that works and whose answer is lost
            replies = super().send_and_receive(messages, timeout=timeout)
            lost = {m.metadata.message_id for m in messages} - {m.metadata.message_id for m in kept}
            replies = [r for r in replies if r.metadata.reply_to_message_id not in lost]
        if struck and kind in self.altered:
            for reply in replies:
                if reply.has_content():
                    self.altered[kind](reply.metadata.src_node_id - FIRST_NODE, reply)
        again = [
            r for r in replies if r.metadata.src_node_id - FIRST_NODE in self.twice.get(kind, ())
        ]
        return replies + (again if struck else [])


def _of(message: Message) -> int:
    return message.metadata.dst_node_id - FIRST_NODE


def run(settings: Settings, **faults: Any) -> tuple[FederatedRun, Network]:
    grid = Network(settings, **faults)
    return run_federation(grid, settings), grid


def plain(settings: Settings, survivors: list[set[int]], cohorts: list[int]) -> Any:
    """Return the model that plain integer sums of these survivors give."""
    model = np.zeros(10)
    for number, (left, cohort) in enumerate(zip(survivors, cohorts, strict=True), start=1):
        grid = grid_of(settings, 10, cohort)
        total = np.zeros(11, dtype=np.int64)
        for clinic in left:
            own = Network(settings).context(FIRST_NODE + clinic)
            rows, weight = rows_of(clinic_of(own, settings), settings, model, number)
            total += contribution(grid, rows, weight, bits_of(True, settings.seed, clinic, number))
        model, _ = merged(model, total, grid, settings)
    return model


EVERYBODY = set(range(N))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"unit": "clinic", "rounds": 3},
        {"neighbours": 4},
        {"modulus_bits": 32, "largest_shard": 200},
    ],
    ids=str,
)
def test_the_model_is_that_of_the_plain_integer_sum(changes: dict[str, Any]) -> None:
    settings = settings_of(**changes)
    done, _ = run(settings)
    assert np.array_equal(done.weights, plain(settings, [EVERYBODY] * 3, [N] * 3))
    assert all(not record.verdicts for record in done.rounds)


@pytest.mark.parametrize(
    ("kind", "in_cohort", "in_sum"),
    [(wire.KEYS, 5, 5), (wire.SHARES, 5, 5), ("train", 7, 5), (wire.UNMASK, 7, 7)],
)
def test_dropouts_at_each_step_leave_an_exact_sum(kind: str, in_cohort: int, in_sum: int) -> None:
    settings = settings_of()
    done, _ = run(settings, lost={kind: (1, 4)})
    left = EVERYBODY if in_sum == N else EVERYBODY - {1, 4}
    assert np.array_equal(done.weights, plain(settings, [left] * 3, [in_cohort] * 3))
    assert done.final["secagg-survivors"] == in_sum
    assert done.final["secagg-cohort"] == in_cohort


def shares_off_by_one(partition: int, reply: Message) -> None:
    if partition == 2:
        record = reply.content[wire.SECAGG]
        body = bytearray(record[wire.REVEALED])
        body[-1] ^= 1
        record[wire.REVEALED] = bytes(body)


def keys_of_somebody_else(_: int, reply: Message) -> None:
    reply.content[wire.SECAGG][wire.CIPHER_KEYS] = b"k" * 32


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ({"lost": {wire.KEYS: (0, 1, 2)}}, "4 of 7 clinics are left where 5"),
        ({"lost": {wire.SHARES: (0, 1, 2)}}, "4 of 7 clinics are left where 5"),
        ({"lost": {"train": (0, 1, 2)}}, "4 of 7 clinics are left where 5"),
        ({"lost": {wire.UNMASK: (0, 1, 2)}}, "4 shares of a secret where 5 are needed"),
        ({"altered": {wire.UNMASK: shares_off_by_one}}, "contradict each other"),
        (
            {"altered": {wire.UNMASK: shares_off_by_one}, "lost": {wire.UNMASK: (5, 6)}},
            "inconsistent shares",
        ),
        ({"altered": {wire.KEYS: keys_of_somebody_else}}, "replayed keys"),
        ({"twice": {wire.KEYS: (3,)}}, "partition:3 answered twice"),
        ({"twice": {wire.SHARES: (3,)}}, "partition:3 answered twice"),
        ({"twice": {"train": (3,)}}, "partition:3 answered twice"),
        ({"twice": {wire.UNMASK: (3,)}}, "partition:3 answered twice"),
    ],
    ids=[
        "too few keys",
        "too few shares",
        "too few uploads",
        "too few to unmask",
        "one false share",
        "one false share of just enough",
        "a key twice",
        "keys twice",
        "shares twice",
        "upload twice",
        "unmask twice",
    ],
)
def test_a_round_that_cannot_be_opened_is_abandoned(faults: dict[str, Any], reason: str) -> None:
    """The model stays, the reason is in the round's record, and the next round is as ever."""
    settings = settings_of(rounds=2)
    done, _ = run(settings, only_round=1, **faults)
    first, second = done.rounds[1], done.rounds[2]
    assert [v["reason"] for v in first.verdicts if v["kind"] == "abandoned"] != []
    assert reason in next(v["reason"] for v in first.verdicts if v["kind"] == "abandoned")
    assert first.sizes == {}
    assert first.metrics["secagg-abandoned"] == 1
    assert first.metrics["loss"] == done.rounds[0].metrics["loss"]
    assert second.metrics["secagg-survivors"] == N
    assert [v for v in second.verdicts if v["kind"] == "abandoned"] == []


@pytest.mark.parametrize(
    ("lost", "charged", "survivors"),
    [
        ({}, 1, 7),  # opened: charged for the noise of all
        ({"train": (1,)}, 1, 6),  # opened without one: more
        ({"train": (0, 1, 2)}, 1, 5),  # sent and never opened: as if opened with the fewest
        ({wire.SHARES: (0, 1, 2)}, 0, 0),  # nothing was sent
    ],
    ids=str,
)
def test_the_ledger_accounts_for_the_noise_that_was_there(
    lost: dict[str, tuple[int, ...]], charged: int, survivors: int
) -> None:
    settings = settings_of(rounds=2)
    _, grid = run(settings, lost=lost, only_round=1)
    spent = mus_of(grid.context(FIRST_NODE + 4))
    usual = upload_mu(settings, 7, 7)
    expected = [upload_mu(settings, 7, survivors)] * charged + [usual]
    assert spent == pytest.approx(expected)


def test_one_whose_masked_input_was_lost_stays_charged_for_the_worst() -> None:
    settings = settings_of(rounds=1)
    _, grid = run(settings, lost={"train": (1,)})
    assert mus_of(grid.context(FIRST_NODE + 1)) == pytest.approx([upload_mu(settings, 7, 5)])


def test_a_whole_run_costs_each_clinic_what_was_asked() -> None:
    settings = settings_of(epsilon=0.5)
    done, grid = run(settings)
    spent = mus_of(grid.context(FIRST_NODE))
    assert epsilon_of_mu(float(np.sqrt(np.sum(np.square(spent)))), 1e-5) == pytest.approx(0.5)
    privacy = run_entry(done)["privacy"]
    assert privacy["certified_epsilon"]["server"]["proven"] == pytest.approx(0.5, rel=1e-6)


def test_the_report_says_what_dropouts_and_colluders_did() -> None:
    done, _ = run(settings_of(epsilon=0.5, colluders=1), lost={"train": (3, 5)})
    privacy = run_entry(done)["privacy"]
    shared = privacy["shared"]
    assert shared["fewest_survivors"] == 5
    found = shared["epsilon_by_colluders"]
    # calibrated for the noise of 6, there is that of 4 with one colluder and of 5 without
    assert privacy["certified_epsilon"]["server"]["proven"] == found["1"] > found["0"] > 0.5
    assert any("not what a curious server is held to" in text for text in privacy["warnings"])


def test_a_limit_is_held_for_the_fewest_survivors(tmp_path: Any) -> None:
    """With eps 1 asked and allowed, the last upload could cost more if clinics dropped out."""
    with pytest.raises(BudgetExhausted, match="--dropouts 2 makes noise for as few"):
        run(settings_of(max_epsilon=1.0))
    done, _ = run(settings_of(max_epsilon=1.0, dropouts=2))
    assert done.final["secagg-survivors"] == N


def test_a_ledger_on_disk_adds_up_and_is_settled(tmp_path: Any) -> None:
    from clients.ledger_mod import data_name, store_of

    settings = settings_of(rounds=2, ledger=str(tmp_path / "spent.db"))
    _, grid = run(settings, lost={"train": (1,)}, only_round=1)
    run(settings)  # keys are fresh, so the same settings are two more releases
    context = grid.context(FIRST_NODE + 4)
    ledger = store_of(settings.ledger).load(data_name(context, settings))
    usual = upload_mu(settings, 7, 7)
    found = [charge.mus["server"] for charge in ledger.charges]
    assert found == pytest.approx([upload_mu(settings, 7, 6), usual, usual, usual])


def test_the_server_never_sees_sizes_or_models() -> None:
    seen: list[Message] = []

    class Listening(Network):
        def send_and_receive(self, messages: Iterable[Message], **_: Any) -> list[Message]:
            replies = super().send_and_receive(messages)
            seen.extend(replies)
            return replies

    settings = settings_of(partition="sizes", sizes="1,2,3,4,5,6,7")
    done = run_federation(Listening(settings), settings)
    assert set(done.sizes) == {1}
    for reply in seen:
        for record in reply.content.values():
            assert dict(record.items()).get("num-examples", 1) == 1
        if reply.metadata.message_type == "train":
            assert set(reply.content) == {wire.SECAGG}
            assert set(reply.content[wire.SECAGG]) == {wire.MASKED}
    assert run_entry(done)["records"]["smallest_shard"] is None


def test_weights_count_although_nobody_learns_them() -> None:
    """Without noise the masked mean is the weighted mean of FedAvg, to the grid's width."""
    changes = {"clients": N, "rounds": 4, "learning_rate": 0.05, "clip_norm": 5.0, "seed": 3}
    changes |= {"partition": "sizes", "sizes": "1,2,3,4,5,6,7"}
    masked, _ = run(compose("fedavg", {**changes, "secure_aggregation": "on"}))
    open_, _ = run(compose("fedavg", changes))
    assert masked.weights == pytest.approx(open_.weights, abs=1e-3)


def test_secrets_stay_in_the_clinics_own_state() -> None:
    _, grid = run(settings_of(rounds=1))
    state = grid.context(FIRST_NODE).state[STATE]
    kept = [state[name] for name in ("cipher_key", "mask_key", "self_mask")]
    assert len(set(kept)) == 3


def test_an_auction_of_uploads_goes_around_it() -> None:
    changes = {"price_per_epsilon": 1, "record_value": 100.0}
    done, _ = run(settings_of(**changes))
    assert done.final["winners"] == N
    assert done.final["secagg-survivors"] == N


def test_it_goes_around_nothing_that_compares_uploads() -> None:
    with pytest.raises(ValueError, match="compares uploads"):
        SecureAggregation(Krum(), settings_of(), 10, lambda node: node)


def test_a_run_that_is_always_abandoned_says_why() -> None:
    with pytest.raises(RunFailed, match="4 of 7 clinics are left where 5"):
        run(settings_of(rounds=2), lost={wire.KEYS: (0, 1, 2)})


def test_a_clinic_can_insist_on_more_clinics() -> None:
    settings = settings_of(rounds=1)
    grid = Network(settings)
    for number in range(3):
        grid.context(FIRST_NODE + number).node_config["min-clinics"] = 6
    with pytest.raises(RunFailed, match="4 of 7"):
        run_federation(grid, settings)


def test_a_clinic_refuses_phases_out_of_turn() -> None:
    settings = settings_of(rounds=1)
    _, grid = run(settings)
    context: Context = grid.context(FIRST_NODE)
    assert partition_of(context) == 0
    asked = [
        Message(content_of({wire.SESSION: b"x" * 16, wire.MEMBERS: [0]}), FIRST_NODE, kind)
        for kind in (wire.SHARES, wire.UNMASK, wire.CHECK, wire.KEYS)
    ]
    for reply in grid.send_and_receive(asked):
        assert set(reply.content) == {"refusal"}


def content_of(values: dict[str, Any]) -> Any:
    from flwr.app import ConfigRecord, RecordDict

    return RecordDict({wire.SECAGG: ConfigRecord(values)})
