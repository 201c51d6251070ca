"""A client's policy: what is read, what is refused, and in which words."""

from pathlib import Path

import pytest

from federation.deployment.errors import DeploymentError
from federation.deployment.policy import Policy, read_policy
from strategies.presets import compose

HASH = "ab" * 32
FULL = f"""
[privacy]
mechanisms = ["dp-gd", "certified"]
max-epsilon-per-round = 0.5
max-epsilon-total = 2
delta = 1e-6
max-uploads = 40
ratings = ["public"]

[run]
tasks = ["bcwd"]
max-rounds = 20
max-seconds = 30

[code]
bundles = ["own", "{HASH}"]
"""


def test_a_whole_policy_is_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(FULL)
    assert read_policy(path) == Policy(
        mechanisms=("dp-gd", "certified"),
        max_epsilon_per_round=0.5,
        max_epsilon_total=2.0,
        delta=1e-6,
        max_uploads=40,
        ratings=("public",),
        tasks=("bcwd",),
        max_rounds=20,
        max_seconds=30.0,
        bundles=("own", HASH),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[privacy", "policy.toml"),
        ("[privcy]", r"unknown section \[privcy\]; did you mean 'privacy'"),
        ("privacy = 1", r"must be a section"),
        ("[privacy]\nmax-epsilon = 1", r"has no 'max-epsilon'"),
        ("[privacy]\nmax-epsilon-total = -1", "at least 0"),
        ("[privacy]\nmax-epsilon-total = nan", "at least 0"),
        ("[privacy]\nmax-epsilon-total = inf", "at least 0"),
        ("[privacy]\nmax-epsilon-total = '1'", "must be a number"),
        ("[privacy]\nmax-epsilon-total = true", "must be a number"),
        ("[privacy]\nmax-uploads = 1.5", "must be a whole number"),
        ("[privacy]\ndelta = 0", "strictly between 0 and 1"),
        ("[privacy]\nmechanisms = []", "is empty"),
        ("[privacy]\nmechanisms = 'dp-gd'", "must be a list"),
        ("[privacy]\nmechanisms = ['dp-gt']", "did you mean 'dp-gd'"),
        ("[run]\ntasks = ['mnist']", "unknown 'mnist'"),
        ("[run]\nmax-seconds = 0", "must be above 0"),
        ("[run]\nmax-seconds = 1e12", "at most 604800"),
        ("[run]\nmin-clinics = -1", "at least 0"),
        ("[privacy]\nmax-uploads = 1" + "0" * 400, "at most 1e"),
        ("[privacy]\nmax-epsilon-total = nan", "at least 0"),
        ("[code]\nbundles = ['abc']", "no SHA-256"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(DeploymentError, match=words) as caught:
        read_policy(path)
    assert "\n" not in str(caught.value)
    assert "policy.toml" in str(caught.value)


def test_without_a_policy_only_noise_is_asked_for() -> None:
    for strategy in ("global-dp", "dp-gd"):
        assert Policy().objection(compose(strategy, {})) is None
    assert "privacy none" in str(Policy().objection(compose("fedavg", {})))
    assert Policy(mechanisms=("none",)).objection(compose("fedavg", {})) is None
    assert not Policy().counts


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(mechanisms=("dp-gd",)), "privacy global-dp is not among dp-gd"),
        (Policy(tasks=("carrada",)), "task bcwd is not among carrada"),
        (Policy(max_rounds=99), "100 rounds are more than 99"),
    ],
)
def test_a_run_outside_is_objected_to(policy: Policy, words: str) -> None:
    assert policy.objection(compose("global-dp", {})) == words


def test_a_market_needs_no_mechanism() -> None:
    market = compose("reputation", {"dataset": "carrada"})
    assert Policy(mechanisms=("dp-gd",)).objection(market) is None
