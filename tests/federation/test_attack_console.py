"""What the terminal says of attackers, unused replies and Krum's f."""

from typing import Any

import pytest
from rich.console import Console

from federation.attack_console import attack_line, lowered_line, print_attack, start_lines
from federation.runner import run_one
from strategies.presets import compose
from strategies.settings import byzantine_limit
from strategies.trust_settings import largest_cohort
from tests.peers import settings_of


def entry(attackers: int = 2, **verdict: str) -> dict[str, Any]:
    names = [f"partition:{number}" for number in range(attackers)]
    said = {"identity": "partition:1", "message_type": "train", "kind": "rejected", "reason": "x"}
    rounds = [
        {"round": number, "verdicts": [said | verdict] if number else []} for number in (0, 1, 2)
    ]
    attack = {"name": "nan", "schedule": "always", "attackers": names}
    return {"clients": 40, "attack": attack, "rounds": rounds}


def test_who_attacked() -> None:
    assert attack_line(entry()) == "attack: nan, always, by 2 of 40 clinics: 0, 1"
    assert attack_line(entry(), "devices") == "attack: nan, always, by 2 of 40 devices: 0, 1"
    assert attack_line(entry(0)) == "attack: nan, always, by 0 of 40 clinics"
    assert attack_line(entry(30)).endswith(", 11, ...")
    assert attack_line(entry() | {"attack": {}}) == ""


def test_a_reason_that_looks_like_markup_is_printed_as_it_is() -> None:
    console = Console(width=200, record=True)
    print_attack(console, entry(reason="[bold]all fine[/bold] [link=x]"))
    text = console.export_text()
    assert "replies not used: 2" in text
    assert "clinic 1: 2 x train rejected: [bold]all fine[/bold] [link=x]" in text


def test_what_f_is_possible_is_said_at_the_start() -> None:
    krum = settings_of("krum", clients=20, byzantine=3, attack="alie", attackers=6.0)
    assert start_lines(krum) == [
        "krum: f = 3 set, at most 8 possible with 20 clinics (2 f + 3 replies needed)",
        "6 clinics attack and f is 3: the rule allows for fewer than there are; see --byzantine",
    ]
    bulyan = settings_of("fedavg", clients=20, aggregation="bulyan", byzantine=4)
    assert start_lines(bulyan) == [
        "bulyan: f = 4 set, at most 4 possible with 20 clinics (4 f + 3 replies needed)"
    ]
    assert start_lines(settings_of("fedavg")) == []


@pytest.mark.parametrize(
    ("aggregation", "byzantine", "changes", "said"),
    [
        (
            "krum",
            6,
            {},
            "a round after the first, which is open to all, asks at most 8 clinics: f at most 2 there, to which it is lowered",
        ),
        (
            "krum",
            2,
            {},
            "a round after the first, which is open to all, asks at most 8 clinics: f at most 2 there",
        ),
        (
            "bulyan",
            4,
            {"selection": "none"},
            "a round asks at most 8 clinics: f at most 1 there, to which it is lowered",
        ),
        (
            "multikrum",
            1,
            {"channels": 2},
            "multikrum: a round after the first, which is open to all, asks at most 2 clinics and merges nothing of fewer than 3 replies; raise --channels or --top-k",
        ),
        (
            "krum",
            1,
            {"auction": "none", "detector": "algorithm1", "top_k": 7},
            "a round asks at most 7 clinics: f at most 2 there",
        ),
    ],
)
def test_what_f_an_auctions_cohort_allows_is_said_and_held_to(
    aggregation: str, byzantine: int, changes: dict[str, Any], said: str
) -> None:
    values = {"aggregation": aggregation, "byzantine": byzantine, **changes}
    settings = compose("trusted", values)
    assert start_lines(settings)[1] == said
    run = run_one(settings.changed(rounds=3, uploads=min(settings.uploads, 3)))
    cohort = largest_cohort(settings, 10)
    for record in run.rounds[2:]:
        assert len(record.uploaded) <= cohort
        if record.sizes:
            f = record.metrics["byzantine"]
            assert f == min(byzantine, byzantine_limit(aggregation, len(record.uploaded)))
    assert all(not record.sizes for record in run.rounds[2:]) == (cohort < 3)


def test_a_lowered_f_is_said_at_the_end() -> None:
    run = {"rounds": [{"round": 0}, {"byzantine": 3}, {"byzantine": 1}, {"byzantine": 2}, {}]}
    assert lowered_line(run, 3).startswith("f = 3 was lowered in 2 of 4 rounds, down to 1:")
    assert lowered_line({"rounds": [{}, {"byzantine": 3}]}, 3) == ""
