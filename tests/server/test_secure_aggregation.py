"""Secure aggregation over Flower messages: exact sums, or an abandoned round with its reason."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from flwr.app import Context, Message
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp.strategy import FedAvg, Krum

from clients.app import app as client_app
from clients.clinic import clinic_of
from clients.messages import partition_of
from clients.secure_ledger import mus_of
from clients.secure_mod import rows_of
from clients.secure_signing import PEER_KEYS, SIGNING_KEY
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
        (
            {"altered": {wire.UNMASK: shares_off_by_one}, "lost": {wire.UNMASK: (5, 6)}},
            "inconsistent shares",
        ),
        ({"altered": {wire.KEYS: keys_of_somebody_else}}, "0 of 7 clinics are left where 5"),
    ],
    ids=[
        "too few keys",
        "too few shares",
        "too few uploads",
        "too few to unmask",
        "one false share of just enough",
        "a key twice",
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


def test_one_false_share_of_more_than_enough_is_nobody_s_for_certain() -> None:
    """Its dealer may have handed it out: the sum is opened, and nobody is left out for it."""
    settings = settings_of(rounds=2)
    done, _ = run(settings, altered={wire.UNMASK: shares_off_by_one})
    assert np.array_equal(done.weights, plain(settings, [EVERYBODY] * 2, [N] * 2))
    assert all(not record.verdicts for record in done.rounds)


def flipped(name: str, step: int = 1) -> Callable[[int, Message], None]:
    """Return what flips bits of an entry of clinic 2's answer, every ``step`` bytes."""

    def alter(partition: int, reply: Message) -> None:
        if partition == 2:
            record = reply.content[wire.SECAGG]
            body = bytearray(record[name])
            for place in range(step - 1, len(body), step):
                body[place] ^= 1
            record[name] = bytes(body)

    return alter


def keys_alike(partition: int, reply: Message) -> None:
    if partition == 2:
        record = reply.content[wire.SECAGG]
        record[wire.MASK_KEYS] = record[wire.CIPHER_KEYS]


class Replaying:
    """Clinic 2 sends the keys of its first session again."""

    def __init__(self) -> None:
        self.old: dict[str, bytes] = {}

    def __call__(self, partition: int, reply: Message) -> None:
        if partition == 2:
            record = reply.content[wire.SECAGG]
            for name in (wire.CIPHER_KEYS, wire.MASK_KEYS):
                record[name] = self.old.setdefault(name, record[name])


LIES = {
    "keys twice": ({"twice": {wire.KEYS: (2,)}}, "answers the same request again", 6, 6),
    "shares twice": ({"twice": {wire.SHARES: (2,)}}, "answers the same request again", 6, 6),
    "upload twice": ({"twice": {"train": (2,)}}, "answers the same request again", 7, 6),
    "unmask twice": ({"twice": {wire.UNMASK: (2,)}}, "answers the same request again", 7, 7),
    "no keys": ({"altered": {wire.KEYS: keys_alike}}, "public keys that are none", 6, 6),
    "false shares": (
        {"altered": {wire.UNMASK: flipped(wire.REVEALED, 33)}},
        "revealed false shares: not asked again",
        7,
        7,
    ),
}


@pytest.mark.parametrize(("faults", "reason", "in_cohort", "in_sum"), LIES.values(), ids=LIES)
def test_a_liar_drops_out_where_it_lied_and_is_not_asked_again(
    faults: dict[str, Any], reason: str, in_cohort: int, in_sum: int
) -> None:
    """The others' sum is exact in the same round, and in all that follow."""
    settings = settings_of()
    done, _ = run(settings, **faults)
    others = EVERYBODY - {2}
    left = [EVERYBODY if in_sum == N else others, others, others]
    assert np.array_equal(done.weights, plain(settings, left, [in_cohort, N - 1, N - 1]))
    assert len(done.rounds[1].sizes) == in_sum
    assert {v["identity"] for v in done.rounds[1].verdicts} == {"partition:2"}
    assert reason in done.rounds[1].verdicts[-1]["reason"]
    assert all(not record.verdicts for record in done.rounds[2:])


def test_keys_of_an_earlier_round_keep_only_their_sender_out() -> None:
    settings = settings_of()
    done, _ = run(settings, altered={wire.KEYS: Replaying()}, lost={wire.SHARES: (2,)})
    (verdict,) = done.rounds[2].verdicts
    assert verdict["identity"] == "partition:2"
    assert "used before: replayed keys" in verdict["reason"]
    others = EVERYBODY - {2}
    assert np.array_equal(done.weights, plain(settings, [others] * 3, [N - 1] * 3))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (wire.COMMITMENT, "handed out false shares"),
        (wire.LETTERS, "encrypted shares of clinic 2 were altered or replayed, say 6 clinics"),
    ],
)
def test_a_dealer_of_false_shares_stops_one_round_and_no_more(name: str, reason: str) -> None:
    """Nobody can go on with what it handed out; then it is known, and the others go on."""
    settings = settings_of()
    done, _ = run(settings, altered={wire.SHARES: flipped(name)})
    first = done.rounds[1]
    assert "abandoned" in {v["kind"] for v in first.verdicts}
    (named,) = (v for v in first.verdicts if v["kind"] == "rejected")
    assert (named["identity"], reason in named["reason"]) == ("partition:2", True)
    assert first.metrics["loss"] == done.rounds[0].metrics["loss"]
    assert [record.metrics["secagg-survivors"] for record in done.rounds[2:]] == [N - 1] * 2
    assert all(not record.verdicts for record in done.rounds[2:])


def test_who_was_left_out_stays_so_after_a_kill() -> None:
    settings = settings_of()
    first = SecureAggregation(FedAvg(), settings, 10, lambda node: node)
    first._remember(2)
    resumed = SecureAggregation(FedAvg(), settings, 10, lambda node: node)
    resumed.replay(first.additions())
    assert resumed._left_out == {2}
    assert first.additions() == []


class Signed(Network):
    """Clinics with keys that the server knows; each knows its peers'."""

    def __init__(self, settings: Settings, folder: Path, **faults: Any) -> None:
        super().__init__(settings, **faults)
        keys = [generate_private_key(SECP384R1()) for _ in range(N)]
        publics = [key.public_key() for key in keys]
        listed = {
            n: public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
            for n, public in enumerate(publics)
        }
        (folder / "peers.json").write_text(json.dumps(listed))
        self.publics = [
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            for public in publics
        ]
        for number, key in enumerate(keys):
            path = folder / f"{number}.key"
            path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
            config = self.context(FIRST_NODE + number).node_config
            config |= {SIGNING_KEY: str(path), PEER_KEYS: str(folder / "peers.json")}

    def get_nodes(self) -> list[NodeInfo]:
        return [
            NodeInfo(node_id=FIRST_NODE + number, public_key=key)
            for number, key in enumerate(self.publics)
        ]


def unsigned(partition: int, reply: Message) -> None:
    if partition == 2:
        reply.content[wire.SECAGG][wire.SIGNATURES] = b""


@pytest.mark.parametrize(
    ("faults", "reason", "survivors"),
    [
        ({}, "", N),
        ({wire.KEYS: unsigned}, "does not sign its keys, as the others do", N - 1),
        ({wire.KEYS: flipped(wire.SIGNATURES)}, "sent keys that it did not sign", N - 1),
        ({wire.CHECK: flipped(wire.SIGNATURES)}, "did not sign what it was told", N),
    ],
    ids=["honest", "unsigned keys", "falsely signed keys", "falsely signed survivors"],
)
def test_signatures_that_are_none_keep_only_their_sender_out(
    tmp_path: Path, faults: dict[str, Any], reason: str, survivors: int
) -> None:
    settings = settings_of(rounds=2)
    done = run_federation(Signed(settings, tmp_path, altered=faults), settings)
    first, second = done.rounds[1:]
    assert first.metrics["secagg-survivors"] == survivors
    assert second.metrics["secagg-survivors"] == (N - 1 if faults else N)
    assert [reason in v["reason"] for v in first.verdicts] == [True] * bool(faults)
    assert second.verdicts == []


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
