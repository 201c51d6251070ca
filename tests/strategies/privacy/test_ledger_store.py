"""The clinic's database: its owner's alone, and bounded in what it keeps to send again."""

from pathlib import Path

import pytest

from strategies.privacy import ledger_store
from strategies.privacy.ledger import Charge
from strategies.privacy.ledger_store import LedgerStore


def test_a_ledger_is_its_owners_alone(tmp_path: Path) -> None:
    LedgerStore(f"sqlite:///{tmp_path / 'clinic.db'}").close()
    assert (tmp_path / "clinic.db").stat().st_mode & 0o777 == 0o600


def test_only_so_many_replies_are_kept_but_every_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_store, "KEPT_REPLIES", 3)
    store = LedgerStore(f"sqlite:///{tmp_path / 'clinic.db'}")
    charges = [Charge("run", number, "hash", {"server": 0.1}) for number in range(1, 8)]
    for charge in charges:
        store.record("data", charge, f"reply {charge.round_}".encode())
    assert [store.reply("data", charge.key) for charge in charges] == [
        *[b""] * 4, b"reply 5", b"reply 6", b"reply 7",
    ]  # fmt: skip
    assert store.load("data").uploads() == 7
