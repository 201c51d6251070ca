"""What a clinic enrolled with is what it weighs and is paid for, in every composition."""

from pathlib import Path
from typing import Any

import pytest

from server.federation import FederatedRun, run_federation
from server.seals import SIGNED
from strategies.attack_settings import attackers_of
from strategies.learning.task import federation_of
from strategies.presets import compose
from strategies.settings import Settings
from tests.peers import grid_of
from tests.server.state.machines import Machines

RATED = {"detector": "algorithm1"}
COMPOSITIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "selection": ("reputation", {}),
    "ratings": ("reputation", {**RATED, "first_share": 0.0}),
    "noised ratings": ("reputation", {**RATED, "ratings": "noised"}),
    "auction": ("trusted", {"selection": "none"}),
    "greedy auction": ("trusted", {"selection": "none", "auction": "greedy"}),
    "selection and auction": ("trusted", {}),
    "ratings and auction": ("trusted", RATED),
    "around Krum": ("trusted", {"aggregation": "krum", "byzantine": 1}),
    "under global-dp": ("trusted", {"privacy": "global-dp", "epsilon": 20.0}),
    "without noise": ("trusted", {"privacy": "none"}),
}
LIES = ("weight-huge", "weight-zero", "weight-negative", "weight-nan")


def lying(name: str, lie: str) -> Settings:
    strategy, changes = COMPOSITIONS[name]
    values = {"clients": 7, "rounds": 2, "attack": lie, "attackers": 2, **changes}
    if strategy == "trusted" and values.get("privacy", "dp-gd") == "dp-gd":
        values["uploads"] = 2
    return compose(strategy, values)


def held_to_its_size(run: FederatedRun, settings: Settings, names: list[str]) -> None:
    hostile = {names[number] for number in attackers_of(settings)}
    first = run.rounds[1]
    told = [v for record in run.rounds for v in record.verdicts if v["kind"] == "rejected"]
    assert {v["identity"] for v in told} == hostile
    said = {v["message_type"]: v["reason"] for v in told}
    for kind, reason in said.items():
        assert ("its value is" if kind == "query.offer" else "num-examples") in reason
    assert set(said) == {"evaluate", "query.offer" if settings.auction != "none" else "train"}
    enrolled = dict(zip(names, run.sizes, strict=True))
    for record in run.rounds[1:]:
        assert not set(record.sizes) & hostile
        assert all(size == enrolled[name] for name, size in record.sizes.items())
    assert len(first.sizes) == 5
    for name, (_, value, _) in first.details.get("offers", {}).items():
        assert name not in hostile
        assert value == round(settings.record_value * 1e6) * enrolled[name]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("name", COMPOSITIONS)
def test_a_lie_about_the_size_is_seen_in_every_message(name: str, lie: str) -> None:
    settings = lying(name, lie)
    run = run_federation(grid_of(settings), settings)
    assert run.sizes == federation_of(settings).sizes
    held_to_its_size(run, settings, [f"partition:{number}" for number in range(7)])


@pytest.mark.parametrize("name", ["selection and auction", "noised ratings"])
def test_on_separate_machines_the_size_is_bound_to_the_key(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SIGNED, "1")
    settings = lying(name, "weight-huge")
    grid = Machines(settings, tmp_path)
    for context in grid.inside._contexts.values():
        context.node_config["allow-attack"] = True
    again = [0]

    def reconnects(messages: list[Any]) -> None:
        """In round 2 everybody comes back under another node id; what they registered stays."""
        again[0] += messages[0].metadata.message_type == "evaluate"
        if again[0] == 1:
            for number in range(7):
                grid.reconnect(number)
            again[0] += 1

    grid.before = reconnects
    run = run_federation(grid, settings, deployed=True)
    held_to_its_size(run, settings, grid.names)
