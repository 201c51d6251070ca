"""Framed lines: what goes in comes out, whatever else is in the log and wherever it is cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.runner import run_one
from server.frames import (
    RESULT,
    ROUND,
    FrameError,
    FrameReader,
    frame_lines,
    result_value,
    round_from_value,
    run_from_value,
)
from strategies.presets import compose

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=4), st.lists(st.integers(1, 60), max_size=20))
def test_a_frame_survives_any_cut_of_the_log(value: dict[str, object], cuts: list[int]) -> None:
    log = "before\n" + "\n".join(frame_lines(ROUND, value)) + "\nafter\n"
    frames, lines = _read(log, cuts)
    assert frames == [(ROUND, value)]
    assert lines == ["before", "after"]


def test_a_frame_that_a_client_said_is_no_frame() -> None:
    """A refusal is logged with its reason: it must neither forge a round nor fail the run."""
    (forged,) = frame_lines(ROUND, {"round": 7})
    said = [
        f"WARNING :   partition:3: train reply refused: {forged}",
        "WARNING :   partition:3: refused: @federation result 1/1 0000000000000000 AAAA",
        f"{forged} and more",
    ]
    assert _read("\n".join(said) + "\n", []) == ([], said)


def test_a_large_frame_goes_in_parts_and_a_repeated_part_changes_nothing() -> None:
    value = {"noise": np.random.default_rng(1).bytes(40_000).hex()}
    parts = frame_lines(RESULT, value)
    assert len(parts) > 3
    assert max(map(len, parts)) < 13_000
    shuffled = [*parts, parts[0]]
    np.random.default_rng(2).shuffle(shuffled)
    frames, _ = _read("\n".join(shuffled) + "\n", [])
    assert frames[0] == (RESULT, value)


def test_a_damaged_frame_is_no_result() -> None:
    (line,) = frame_lines(RESULT, {"a": 1})
    head, _, body = line.rpartition(" ")
    with pytest.raises(FrameError, match="damaged"):
        _read(f"{head} {body[:-4]}AAA=\n", [])


def test_a_frame_that_inflates_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from server import frames

    monkeypatch.setattr(frames, "MAX_BYTES", 1000)
    with pytest.raises(FrameError, match="too large"):
        _read("\n".join(frame_lines(RESULT, {"a": "0" * 100_000})) + "\n", [])


def test_a_finished_run_comes_back_to_the_last_bit() -> None:
    run = run_one(compose("global-dp", {"clients": 3, "rounds": 2, "ledger": ""}))
    (frame,), _ = _read("\n".join(frame_lines(RESULT, result_value(run))) + "\n", [])
    found = run_from_value(frame[1])
    assert found.weights.tobytes() == run.weights.tobytes()
    assert (found.settings, found.sizes, found.seconds) == (run.settings, run.sizes, run.seconds)
    assert [record.as_dict() for record in found.rounds] == [r.as_dict() for r in run.rounds]


def test_a_database_url_never_travels() -> None:
    run = run_one(compose("global-dp", {"clients": 2, "rounds": 1}))
    url = "postgresql://user:hunter2@host/db"
    object.__setattr__(run, "settings", run.settings.changed(ledger=url))
    assert "hunter2" not in str(result_value(run))


def test_what_describes_no_run_is_refused() -> None:
    with pytest.raises(FrameError):
        run_from_value({"weights": "AAA="})
    with pytest.raises(KeyError):
        round_from_value({})


def _read(log: str, cuts: list[int]) -> tuple[list[tuple[str, dict[str, object]]], list[str]]:
    frames: list[tuple[str, dict[str, object]]] = []
    lines: list[str] = []
    reader = FrameReader(lambda kind, value: frames.append((kind, value)), lines.append)
    for size in cuts:
        reader.feed(log[:size])
        log = log[size:]
    reader.feed(log)
    return frames, lines
