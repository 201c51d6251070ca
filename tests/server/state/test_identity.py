"""Reputation, privacy spent and payments belong to a key: not to a node id, run or database."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from server.cards import CARDS, numbers_in
from server.errors import RunFailed
from server.federation import run_federation
from server.fingerprint import identity_of
from server.market import run_market
from server.seals import SIGNED
from server.state.accounts import evidence_of, payments_of, uploads_of
from server.state.run_keeper import continued_run, new_run
from server.state.store import StateStore
from strategies.privacy.ledger_store import LedgerStore
from tests.markets import market_settings
from tests.peers import grid_of, settings_of
from tests.server.state import postgres
from tests.server.state.machines import Machines
from tests.server.state.runs import Killed, Killing

MARKET = market_settings(rounds=20, clients=5, users=4, channels=6, attack="tamper")
LEARNING = settings_of("dp-gd", rounds=4, clients=3)


@pytest.fixture(autouse=True)
def _keys_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIGNED, "1")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    reason = postgres.missing()
    if reason:
        pytest.skip(reason)
    with postgres.running() as url:
        yield url


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)],
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "state.db")
    return str(request.getfixturevalue("postgresql"))


def accounts(database: str, names: list[str]) -> tuple[Any, Any, Any]:
    store = StateStore(database)
    with store.reading() as connection:
        paid = payments_of(connection)
        uploads = uploads_of(connection)
        found = (
            {name: paid.get(name, 0) for name in names},
            {name: uploads.get(name, []) for name in names},
            evidence_of(connection, names),
        )
    store.close()
    return found


def market(grid: Machines, database: str, settings: Any = MARKET) -> Any:
    keeper = new_run(StateStore(database), identity_of(settings))
    return run_market(grid, settings, deployed=True, keeper=keeper)


def test_a_client_that_comes_back_as_another_node_keeps_everything(
    tmp_path: Path, database: str
) -> None:
    still, moving = tmp_path / "still", tmp_path / "moving"
    for folder in (still, moving):
        folder.mkdir()
    plain = market(Machines(MARKET, still), str(tmp_path / "plain.db"))
    for key in still.glob("*.key"):
        (moving / key.name).write_bytes(key.read_bytes())
    grid, rounds = Machines(MARKET, moving), [0]

    def reconnects(messages: list[Any]) -> None:
        if messages[0].metadata.message_type == "evaluate":
            rounds[0] += 1
            if rounds[0] in (3, 9):
                for number in (0, 2, 6):
                    grid.reconnect(number)

    grid.before = reconnects
    moved = market(grid, database)
    lost = {3, 9}  # whoever left in the middle of an evaluation rated nothing
    assert [len(r["ratings"]) for r in moved.ledger.rows if r["round"] not in lost] == [
        len(r["ratings"]) for r in plain.ledger.rows if r["round"] not in lost
    ]
    names = grid.names[: MARKET.clients]
    paid, _, evidence = accounts(database, names)
    assert paid == {
        name: sum(row["paid"].get(name, 0) for row in moved.ledger.rows) for name in names
    }
    assert sum(paid.values()) > 0
    assert set(evidence) == set(names) == set(moved.devices)


def test_reputations_go_on_in_the_next_run(tmp_path: Path, database: str) -> None:
    folder = tmp_path / "machines"
    folder.mkdir()
    first = market(Machines(MARKET, folder), database)
    second = market(Machines(MARKET, folder), database)
    names = Machines(MARKET, folder).names[: MARKET.clients]
    begins, ends = second.ledger.rows[0]["reputations"], first.ledger.rows[-1]["reputations"]
    assert begins != {name: MARKET.alpha for name in names}
    worst = min(ends, key=lambda name: float(ends[name]))
    assert begins[worst] < MARKET.alpha
    paid, _, _ = accounts(database, names)
    for name in names:
        rows = [*first.ledger.rows, *second.ledger.rows]
        assert paid[name] == sum(row["paid"].get(name, 0) for row in rows)


def test_another_key_begins_anew(tmp_path: Path) -> None:
    database, one, two = str(tmp_path / "state.db"), tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    market(Machines(MARKET, one), database)
    fresh = market(Machines(MARKET, two), database)
    assert set(fresh.ledger.rows[0]["reputations"].values()) == {MARKET.alpha}


def test_a_killed_server_charges_and_pays_nobody_twice(tmp_path: Path, database: str) -> None:
    """The clinics answer the repeated round with the bytes they stored; all ledgers say T."""
    folder = tmp_path / "machines"
    folder.mkdir()
    identity = identity_of(LEARNING)
    keeper = Killing(new_run(StateStore(database), identity), 3, before=True)
    with pytest.raises(Killed):
        run_federation(Machines(LEARNING, folder), LEARNING, deployed=True, keeper=keeper)
    grid = Machines(LEARNING, folder)
    grid.inside._run.run_id = 77  # Flower numbers a resumed run anew
    for number in range(3):
        grid.reconnect(number)
    keeper = continued_run(StateStore(database), identity)
    run = run_federation(grid, LEARNING, deployed=True, keeper=keeper)
    plain = run_federation(grid_of(LEARNING), LEARNING)
    assert run.weights.tobytes() == plain.weights.tobytes()
    for number in range(3):
        store = LedgerStore(f"sqlite:///{folder / f'{number}.db'}")
        (name,) = store.names()
        assert store.load(name).uploads() == LEARNING.rounds
        assert (folder / f"{number}.db").stat().st_mode & 0o777 == 0o600
    _, uploads, _ = accounts(database, grid.names)
    assert [len(costs) for costs in uploads.values()] == [LEARNING.rounds] * 3
    assert all(cost.mu is not None and cost.mu > 0 for costs in uploads.values() for cost in costs)


def test_the_stored_reply_is_sent_again_though_noise_is_fresh(tmp_path: Path) -> None:
    settings = LEARNING.changed(noise="system")
    sent: list[bytes] = []

    def run(keeper: Any) -> Any:
        grid = Machines(settings, folder)
        original = grid.inside.send_and_receive

        def spy(messages: Any, *, timeout: float | None = None) -> Any:
            replies = original(messages, timeout=timeout)
            for message in replies:
                if message.metadata.message_type == "train":
                    sent.append(message.content["arrays"]["model"].data)
            return replies

        grid.inside.send_and_receive = spy  # type: ignore[method-assign]
        return run_federation(grid, settings, deployed=True, keeper=keeper)

    folder = tmp_path / "machines"
    folder.mkdir()
    identity = identity_of(settings)
    with pytest.raises(Killed):
        run(Killing(new_run(StateStore(tmp_path / "s.db"), identity), 2, before=True))
    killed, sent[:] = list(sent), []
    run(continued_run(StateStore(tmp_path / "s.db"), identity))
    assert set(killed[3:6]) == set(sent[:3])  # round 2, asked again in whatever order
    assert len(set(killed + sent)) == 3 * settings.rounds


def test_a_client_of_another_key_cannot_take_a_place(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    identity = identity_of(LEARNING)
    keeper = Killing(new_run(StateStore(tmp_path / "s.db"), identity), 2)
    with pytest.raises(Killed):
        run_federation(Machines(LEARNING, one), LEARNING, deployed=True, keeper=keeper)
    keeper = continued_run(StateStore(tmp_path / "s.db"), identity)
    with pytest.raises(RunFailed, match=r"cannot go on: key:\w+ began it and is not there"):
        run_federation(Machines(LEARNING, two), LEARNING, deployed=True, keeper=keeper)


def test_a_signature_by_another_key_is_refused(tmp_path: Path) -> None:
    """Somebody who sits between knows neither key: what he signs himself does not fit."""
    grid = Machines(LEARNING, tmp_path)
    contexts = list(grid.inside._contexts.values())
    contexts[1].node_config["auth-key"] = contexts[2].node_config["auth-key"]
    run = run_federation(grid, LEARNING, deployed=True)
    (verdict,) = run.rounds[0].verdicts
    assert verdict["kind"] == "altered"
    assert len(run.sizes) == LEARNING.clients - 1


def test_a_number_is_held_against_the_server_s_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registered client with its own good key that claims its neighbour's number."""
    cards = tmp_path / "cards"
    cards.mkdir()
    grid = Machines(LEARNING, tmp_path)
    for number, node in enumerate(grid.get_nodes()):
        public = load_pem_public_key(node.public_key)
        text = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        card = {"name": f"clinic-{number}", "number": number, "public_key": f"{text} name"}
        (cards / f"clinic-{number}.json").write_text(json.dumps(card))
    for name, text in {"a": "no card", "b": "[]", "c": '{"number": 1, "public_key": "x"}'}.items():
        (cards / f"{name}.json").write_text(text)
    assert numbers_in(cards) == {name: number for number, name in enumerate(grid.names)}
    monkeypatch.setenv(CARDS, str(cards))
    contexts = list(grid.inside._contexts.values())
    contexts[1].node_config["partition-id"] = 2
    run = run_federation(grid, LEARNING, deployed=True)
    (verdict,) = run.rounds[0].verdicts
    assert verdict["identity"] == grid.names[1]
    assert verdict["reason"] == "claims number 2 and its card says 1: not enrolled"
    assert len(run.sizes) == LEARNING.clients - 1
