"""A policy's own count of uploads under secure aggregation: each session, at its worst."""

from pathlib import Path
from typing import Any

import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict

import tests.peers  # noqa: F401 - sets the task that Flower's messages belong to
from federation.backends.inprocess import run_config
from federation.deployment.consent import Consent, Refused
from federation.deployment.policy import Policy
from strategies.presets import compose
from strategies.wrappers import secure_messages as wire
from strategies.wrappers.vectors import to_array

SETTINGS = compose("shared-noise", {"clients": 7, "rounds": 3})


def request(session: bytes) -> Message:
    import numpy as np

    said = ConfigRecord({"cohort": list(range(7)), wire.SESSION: session})
    content = {
        "arrays": ArrayRecord({"model": to_array(np.zeros(10))}),
        "config": ConfigRecord({"server-round": 1}),
        wire.SECAGG: said,
    }
    return Message(RecordDict(content), dst_node_id=1000, message_type="train")


def context() -> Context:
    config: dict[str, Any] = {"partition-id": 0, "num-partitions": 7}
    return Context(1, 1000, config, RecordDict(), run_config(SETTINGS))


def consent(tmp_path: Path, **limits: Any) -> Consent:
    return Consent(Policy(**limits), (), tmp_path / "spent.db")


def test_a_repeated_round_with_new_masks_is_a_new_upload(tmp_path: Path) -> None:
    own = consent(tmp_path, max_uploads=2)
    for session in (b"a" * 16, b"b" * 16):
        own.to_request(request(session), context())
    with pytest.raises(Refused, match="2 uploads were made"):
        own.to_request(request(b"c" * 16), context())


def test_an_upload_costs_what_the_fewest_survivors_would_make_of_it(tmp_path: Path) -> None:
    """Epsilon 1 over three rounds among seven is 0.55 a round, and 0.66 if two drop out."""
    with pytest.raises(Refused, match=r"of one upload is more than 0\.6"):
        consent(tmp_path, max_epsilon_per_round=0.6).to_request(request(b"a" * 16), context())
    consent(tmp_path, max_epsilon_per_round=0.7).to_request(request(b"a" * 16), context())


def keys(asked: Any) -> Message:
    said = ConfigRecord({wire.ASKED: asked, wire.SESSION: b"a" * 16})
    return Message(RecordDict({wire.SECAGG: said}), dst_node_id=1000, message_type=wire.KEYS)


def test_a_cohort_below_its_own_least_is_refused_before_keys_are_made(tmp_path: Path) -> None:
    """Of seven clinics two may drop out: a sum of five could be opened."""
    consent(tmp_path, min_clinics=5).to_request(keys(7), context())
    with pytest.raises(Refused, match="a sum of 5 clinics could be opened, and min-clinics is 6"):
        consent(tmp_path, min_clinics=6).to_request(keys(7), context())
    with pytest.raises(Refused, match="min-clinics is 6"):
        consent(tmp_path, min_clinics=6).to_request(request(b"a" * 16), context())


def test_a_run_in_which_its_upload_is_seen_alone_is_refused(tmp_path: Path) -> None:
    alone = compose("dp-gd", {"clients": 7, "rounds": 3})
    config: dict[str, Any] = {"partition-id": 0, "num-partitions": 7}
    there = Context(1, 1000, config, RecordDict(), run_config(alone))
    hello = Message(RecordDict(), dst_node_id=1000, message_type="query.hello")
    consent(tmp_path).to_request(hello, there)
    with pytest.raises(Refused, match="upload alone, and min-clinics is 3"):
        consent(tmp_path, min_clinics=3).to_request(hello, there)


@pytest.mark.parametrize("asked", [0, -1, 10**18, "seven", [7], 2.5])
def test_whatever_a_session_says_it_is_refused_and_not_tripped_over(
    tmp_path: Path, asked: Any
) -> None:
    with pytest.raises(Refused, match=r"min-clinics|cannot be read"):
        consent(tmp_path, min_clinics=10**18 + 1).to_request(keys(asked), context())
