"""Keeps one run in a database: a checkpoint a round, and everything back after a kill."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from secrets import token_bytes, token_hex
from typing import Any, cast

from flwr.app import ArrayRecord
from flwr.serverapp import Grid

from server.errors import RunFailed, StateError
from server.fingerprint import difference, fingerprint_of
from server.loop import RoundRecord
from server.registry import Registry
from server.state.accounts import evidence_of
from server.state.charges import Charges
from server.state.codec import StateDamaged, arrays_of, arrays_state, pack, unpack
from server.state.keeper import ChargesOf, Progress
from server.state.store import KeptRun, RoundRow, StateStore
from strategies.wrappers.reputation_selection import ReputationSelection
from strategies.wrappers.state import Journal, Layers, Stateful


class RunKeeper:
    """Keeps one run, new or continued.

    Parameters
    ----------
    store : StateStore
        Where.
    run : KeptRun
        Which.
    new : bool
        Whether it begins; else it goes on where it was kept last.
    """

    def __init__(self, store: StateStore, run: KeptRun, *, new: bool) -> None:
        self.run = run
        self._store = store
        self._owner = token_hex(16)
        self._parts: dict[str, Stateful] = {}
        self._journals: dict[str, Journal] = {}
        self._registry: list[list[Any]] = []
        self._charges: ChargesOf = lambda _: Charges()
        self._kept: dict[str, Any] | None = None
        self._rounds: list[tuple[str, bytes]] = []
        if new:
            store.begin(run, self._owner)
            return
        state, self._rounds = store.take_over(run.run, self._owner)
        if run.round is not None:
            try:
                self._kept = cast("dict[str, Any]", unpack(state))
            except StateDamaged as fault:
                raise StateError(f"{store.place}: its checkpoint is damaged: {fault}") from fault

    @property
    def run_name(self) -> str:
        """Return the run's lasting name."""
        return self.run.run

    @property
    def secret(self) -> bytes:
        """Return what the run's nonces are made from."""
        return self.run.secret

    def prepare(self, grid: Grid) -> None:
        """Put the clients of a simulation back, and keep them from now on."""
        clients = clients_of(grid)
        if clients is not None:
            self._parts["clients"] = clients
            if self._kept is not None:
                self._put_back("clients", clients)

    def resume(
        self, registry: Registry, parts: Mapping[str, object], charges: ChargesOf | None = None
    ) -> Progress | None:
        """Put every part back to where it was; None when the run begins.

        Raises
        ------
        RunFailed
            When others enrolled than those whom the run began with.
        StateError
            When a strategy may remember what nobody can keep.
        """
        layers = parts.get("strategy")
        if isinstance(layers, Layers) and layers.unkept():
            raise StateError(
                f"a checkpoint cannot know what {layers.unkept()} remembers: give it state() and "
                "restore(state), or leave --checkpoint out"
            )
        self._parts |= {name: p for name, p in parts.items() if isinstance(p, Stateful)}
        self._journals |= {name: p for name, p in parts.items() if isinstance(p, Journal)}
        self._registry = registry_state(registry)
        self._charges = charges or self._charges
        if self._kept is None:
            if charges is not None and isinstance(layers, Layers):
                self._inherit(layers, registry)
            return None
        kept, now = self._kept["registry"], self._registry
        if kept != now:
            raise RunFailed(f"this run cannot go on: {_who_differs(kept, now)}")
        for name in set(parts) & set(self._parts):
            self._put_back(name, self._parts[name])
        for _, journal in self._rounds:
            learnt = unpack(journal)
            for name in set(learnt) & set(parts):
                self._journals[name].replay(learnt[name])
        records = [_record_of(text) for text, _ in self._rounds]
        return Progress(arrays_of(self._kept["arrays"]), records, float(self._kept["seconds"]))

    def keep(self, arrays: ArrayRecord, record: RoundRecord, seconds: float) -> None:
        """Keep a round that has just ended.

        Raises
        ------
        RunFailed
            When the database cannot take it.
        """
        state = {
            "arrays": arrays_state(arrays),
            "registry": self._registry,
            "seconds": seconds,
            "parts": {name: part.state() for name, part in self._parts.items()},
        }
        text = json.dumps(asdict(record), default=_plain, separators=(",", ":"))
        journal = pack({name: part.additions() for name, part in self._journals.items()})
        row = RoundRow(record.round, pack(state), text, journal)
        self._store.keep(self.run.run, self._owner, row, self._charges(record))

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def _inherit(self, layers: Layers, registry: Registry) -> None:
        """Let a run begin with what earlier ones showed of who takes part."""
        names = [p.identity for p in registry.participants]
        with self._store.reading() as connection:
            known = evidence_of(connection, names)
        for layer in layers.strategies:
            if known and isinstance(layer, ReputationSelection):
                layer.inherit(known)

    def _put_back(self, name: str, part: Stateful) -> None:
        try:
            part.restore((self._kept or {})["parts"][name])
        except (KeyError, TypeError, ValueError, IndexError) as fault:
            raise StateError(
                f"{self._store.place}: the checkpoint does not fit this run ({name}: {fault})"
            ) from fault


def new_run(
    store: StateStore, identity: Mapping[str, Any], secret: bytes | None = None
) -> RunKeeper:
    """Return the keeper of a run that begins; its rounds are kept from the first on."""
    kept = KeptRun(
        token_hex(16), fingerprint_of(identity), identity, secret or token_bytes(32), None
    )
    return RunKeeper(store, kept, new=True)


def continued_run(store: StateStore, identity: Mapping[str, Any]) -> RunKeeper:
    """Return the keeper of the newest run of these settings, data, code and versions.

    Raises
    ------
    StateError
        When the database has none, with what differs in its newest run.
    """
    found = store.newest(fingerprint_of(identity))
    if found is not None:
        return RunKeeper(store, found, new=False)
    other = store.newest()
    if other is None:
        raise StateError(f"{store.place} has no run to resume: start one with --checkpoint")
    raise StateError(
        f"{store.place} cannot be resumed: {difference(other.identity, identity)}; run what began "
        "it, or start anew without --resume"
    )


def clients_of(grid: Grid) -> Stateful | None:
    """Return the grid whose clients live in this process, behind whatever views."""
    while not isinstance(grid, Stateful):
        inner = getattr(grid, "grid", None)
        if not isinstance(inner, Grid):
            return None
        grid = inner
    return grid


def registry_state(registry: Registry) -> list[list[Any]]:
    """Return who takes part; node ids are left out, they may change."""
    return [[p.identity, p.partition, p.role, p.records, p.noise] for p in registry.participants]


def _who_differs(kept: list[list[Any]], now: list[list[Any]]) -> str:
    before, after = ({str(row[0]): row for row in rows} for rows in (kept, now))
    for who in dict.fromkeys([*before, *after]):
        if who not in after:
            return f"{who} began it and is not there"
        if who not in before:
            return f"{who} did not begin it"
        if before[who] != after[who]:
            return f"{who} enrolled as {before[who][1:]} and now as {after[who][1:]}"
    return "its participants are numbered otherwise"


def _record_of(text: str) -> RoundRecord:
    record = RoundRecord(**json.loads(text))
    record.uploaded = tuple(record.uploaded)
    return record


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no plain value")
