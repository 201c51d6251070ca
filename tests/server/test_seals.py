"""Seals: an altered delivery is told from a bad one, and its sender is not blamed for it."""

from collections import Counter
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from server.errors import RunFailed
from server.market import MarketOutcome, run_market
from strategies.market_world import device_part, moment
from strategies.wrappers import reputation_selection
from strategies.wrappers.protocol import EXHAUSTED, REFUSAL
from strategies.wrappers.seal import SEAL, Question, digest_of, nonce_of
from strategies.wrappers.seal_keys import holds, public_key_of, sign, simulated_key
from tests.markets import delivering, market_settings, trade
from tests.peers import Peers, federate, grid_of, raises, settings_of
from tests.server.hostile import weight

SIGNED = settings_of(signatures="on")
QUESTION = Question("a-run", 3, b"nonce", "train")


def verdicts(outcome: Any) -> Counter[tuple[str, str]]:
    return Counter((v["identity"], v["kind"]) for r in outcome.rounds for v in r.verdicts)


def reply(**parts: Any) -> RecordDict:
    """Return a reply with a model, figures and words in it."""
    array = Array("float64", (2,), "numpy.ndarray", parts.get("data", b"12345678"))
    return RecordDict(
        {
            "arrays": ArrayRecord({"model": array}),
            "metrics": MetricRecord(parts.get("metrics", {"n": 1, "x": 0.5, "many": [1, 2]})),
            "config": ConfigRecord(parts.get("config", {"said": "yes", "raw": b"\0", "ok": True})),
        }
    )


def test_signing_changes_no_number() -> None:
    signed, plain = federate(SIGNED), federate(settings_of())
    assert signed.weights.tobytes() == plain.weights.tobytes()
    assert not verdicts(signed)


CHANGES = [
    {"data": b"12345679"},
    {"metrics": {"n": 1, "x": 0.5, "many": [1, 3]}},
    {"metrics": {"n": 1, "x": 0.5, "many": [12]}},
    {"metrics": {"n": 1.0, "x": 0.5, "many": [1, 2]}},
    {"metrics": {"n": 1, "y": 0.5, "many": [1, 2]}},
    {"config": {"said": "yes", "raw": b"\0", "ok": False}},
    {"config": {"said": "yes", "raw": "\0", "ok": True}},
    {"config": {"said": "yes", "raw": b"\0"}},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_change_is_another_digest(change: dict[str, Any]) -> None:
    assert digest_of(reply()) == digest_of(reply())
    assert digest_of(reply(**change)) != digest_of(reply())


def test_the_order_of_records_does_not_matter() -> None:
    records = dict(reply().items())
    assert digest_of(RecordDict(dict(reversed(records.items())))) == digest_of(reply())


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_parts_cannot_be_moved_between_fields(one: bytes, two: bytes) -> None:
    def of(first: bytes, second: bytes) -> bytes:
        return digest_of(RecordDict({"c": ConfigRecord({"a": first, "b": second})}))

    assert (of(one, two) == of(one + two, b"")) == (two == b"")


def test_a_signature_holds_for_its_question_and_key_only() -> None:
    key, other = simulated_key(1, 0), simulated_key(1, 1)
    signature = sign(key, QUESTION.signed(reply()))
    assert holds(key.public_key(), QUESTION.signed(reply()), signature)
    assert not holds(other.public_key(), QUESTION.signed(reply()), signature)
    for question in (
        Question("b-run", 3, b"nonce", "train"),
        Question("a-run", 4, b"nonce", "train"),
        Question("a-run", 3, b"other", "train"),
        Question("a-run", 3, b"nonce", "evaluate"),
    ):
        assert not holds(key.public_key(), question.signed(reply()), signature)
    for broken in (b"", signature[:-1], b"\0" * 400):
        assert not holds(key.public_key(), QUESTION.signed(reply()), broken)


def test_keys_are_read_as_flower_and_openssh_write_them() -> None:
    from cryptography.hazmat.primitives import serialization as form

    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    pem = key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    ssh = key.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    for data in (pem, ssh):
        found = public_key_of(data)
        assert found is not None and found.public_numbers() == key.public_numbers()
    for data in (b"", b"nonsense", b"ecdsa-sha2 x", pem[:-40]):
        assert public_key_of(data) is None


def test_nonces_repeat_for_a_resumed_round_and_nothing_else() -> None:
    asked = [(r, kind, who) for r in (1, 2) for kind in ("train", "evaluate") for who in "ab"]
    nonces = {nonce_of(b"secret", *question) for question in asked}
    assert len(nonces) == len(asked)
    assert nonces == {nonce_of(b"secret", *question) for question in asked}
    assert nonces.isdisjoint(nonce_of(b"another", *question) for question in asked)


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_what_is_altered_after_signing_is_not_used_and_said(kind: str) -> None:
    run = run_with(weight(77), kind)
    assert verdicts(run) == {("partition:2", "altered"): 3}
    reasons = {v["reason"] for record in run.rounds for v in record.verdicts}
    assert reasons == {"was altered on the way: its signature does not fit"}


def run_with(tamper: Any, kind: str = "train") -> Any:
    return federate(SIGNED, {2: tamper}, kind)


def test_a_reply_that_lost_its_seal_was_altered() -> None:
    def strip(message: Message) -> Message:
        message.content.pop(SEAL)
        return message

    assert verdicts(run_with(strip)) == {("partition:2", "altered"): 3}


@pytest.mark.parametrize(
    "seal",
    [
        MetricRecord({"a": 1}),
        ConfigRecord({}),
        ConfigRecord({"federation-run": "x", "server-round": 1, "nonce": b"", "signature": "no"}),
    ],
    ids=["another-record", "empty", "no-bytes"],
)
def test_seals_that_are_none_are_refused(seal: Any) -> None:
    def forge(message: Message) -> Message:
        message.content[SEAL] = seal
        return message

    kinds = {kind for _, kind in verdicts(run_with(forge))}
    assert kinds <= {"altered", "replayed"}


def test_an_old_reply_in_a_new_envelope_is_a_replay() -> None:
    kept: list[RecordDict] = []

    def replay(message: Message) -> Message:
        kept.append(message.content)
        message.content = RecordDict(dict(kept[0].items()))
        return message

    run = run_with(replay)
    assert verdicts(run) == {("partition:2", "replayed"): 2}
    assert run.rounds[3].verdicts[0]["reason"] == "answers round 1 where round 3 was asked"


def test_an_error_carries_no_seal_and_stays_a_failure() -> None:
    assert verdicts(run_with(raises)) == {("partition:2", "failed"): 3}


def test_who_signs_nothing_is_left_out_at_enrolment() -> None:
    def strip(message: Message) -> Message:
        message.content.pop(SEAL)
        return message

    peers = Peers({2: strip}, "query.hello")
    from server.federation import run_federation

    run = run_federation(grid_of(SIGNED, peers), SIGNED)
    (verdict,) = run.rounds[0].verdicts
    assert (verdict["identity"], verdict["kind"]) == ("node:1002", "unsigned")
    assert verdict["reason"].startswith("does not sign what it sends")
    assert len(run.sizes) == SIGNED.clients - 1


def attacked(outcome: MarketOutcome, settings: Any) -> list[tuple[int, str]]:
    """Return round and device of every delivery that an attack spoiled."""
    found = []
    for row in outcome.ledger.rows:
        episode, step = moment(settings, row["round"])
        for name in row["promised"]:
            if device_part(settings, int(name), episode).spoiled[step] >= 0:
                found.append((row["round"], name))
    return found


def test_the_man_in_the_middle_is_found_and_the_device_not_blamed() -> None:
    """Every delivery that he altered is told apart; no user sees it, nobody is blamed or paid."""
    settings = market_settings(attack="mitm", signatures="on")
    outcome = trade(settings)
    spoiled = attacked(outcome, settings)
    found = [
        (record.round, verdict["identity"].removeprefix("partition:"))
        for record in outcome.rounds
        for verdict in record.verdicts
        if verdict["kind"] == "altered"
    ]
    assert len(spoiled) > 10
    assert sorted(found) == sorted(spoiled)
    for row in outcome.ledger.rows:
        assert row["blamed"] == [] and row["breaches"] == []
        for number, name in spoiled:
            if number == row["round"]:
                assert row["paid"][name] == 0 and name not in row["delivered"]
    last = outcome.ledger.rows[-1]["reputations"]
    assert min(last.values()) >= settings.alpha


def test_without_signatures_the_device_is_blamed_for_him() -> None:
    outcome = trade(market_settings(attack="mitm"))
    assert sum(len(row["blamed"]) for row in outcome.ledger.rows) > 10
    assert min(outcome.ledger.rows[-1]["reputations"].values()) < 0.5


def test_a_liar_is_still_a_liar_when_it_signs() -> None:
    settings = market_settings(attack="tamper", signatures="on")
    outcome, plain = trade(settings), trade(market_settings(attack="tamper"))
    assert not verdicts(outcome)
    assert outcome.ledger.text() == plain.ledger.text()


def test_a_path_that_keeps_altering_is_not_asked_until_that_is_forgotten() -> None:
    """Breaking its own signature wins a device nothing: unpaid, then not asked at all."""
    settings = market_settings(attack="none", signatures="on", window=12)
    garbled = delivering(body=lambda body: body + b"!")
    outcome = trade(settings, {4: garbled})
    broken = [
        record.round
        for record in outcome.rounds
        if any(v["kind"] == "altered" for v in record.verdicts)
    ]
    assert len(broken) > reputation_selection.PATH_TOLERANCE  # it is asked again later
    for number in broken:
        recent = [r for r in broken if number - settings.window < r <= number]
        assert len(recent) <= reputation_selection.PATH_TOLERANCE
    assert all(row["paid"].get("4", 0) == 0 for row in outcome.ledger.rows)


@pytest.mark.slow
def test_a_payload_altered_on_its_way_is_found() -> None:
    settings = market_settings(
        market="payload", attack="mitm", signatures="on", rounds=8, episode_length=8
    )
    outcome = run_market(grid_of(settings), settings)
    kinds = {kind for _, kind in verdicts(outcome)}
    assert "altered" in kinds and kinds <= {"altered", "unmerged"}


def test_a_refusal_without_a_seal_is_heard_but_excludes_nobody() -> None:
    """A machine's own policy speaks before the app that signs; so could anybody on the path."""

    def forged(message: Message) -> RecordDict:
        reason = f"{EXHAUSTED}: says the man in the middle"
        return RecordDict({REFUSAL: ConfigRecord({REFUSAL: reason})})

    rounds = []

    def once(message: Message) -> Message:
        rounds.append(message)
        if len(rounds) == 1:
            message.content = forged(message)
        return message

    run = run_with(once)
    assert verdicts(run) == {("partition:2", "refused"): 1}
    assert [len(record.sizes) for record in run.rounds] == [0, 6, 7, 7]


def test_a_refusal_with_a_seal_counts() -> None:
    settings = settings_of("dp-gd", signatures="on", max_uploads=1, rounds=3)
    with pytest.raises(RunFailed, match=EXHAUSTED):
        federate(settings)
