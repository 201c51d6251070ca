"""The feed: bounded whatever the run does, in order, and readable from any round on."""

import json
import math
from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from federation.live.feed import FEWEST_ROWS, FINISHED, RUNNING, Feed


def row(number: int, **more: object) -> dict[str, object]:
    return {"round": number, "metrics": {"accuracy": 0.5}, **more}


@given(st.integers(0, 2000), st.integers(100, 400))
def test_rows_stay_bounded_and_in_order(rounds: int, most: int) -> None:
    feed = Feed({}, most)
    for number in range(rounds):
        feed.add(row(number))
    numbers = [kept.number for kept in feed.rows()]
    assert len(numbers) <= most
    assert numbers == sorted(set(numbers))
    if rounds:
        assert numbers[0] == 0
        assert numbers[-1] == rounds - 1
        recent = min(rounds, most // 4)  # the newest are never thinned
        assert numbers[-recent:] == list(range(rounds - recent, rounds))


def test_many_participants_leave_room_for_fewer_rounds() -> None:
    feed = Feed({}, 2000, most_values=1000)
    for number in range(500):
        feed.add(row(number, uploads=dict.fromkeys(map(str, range(50)), 1)))
    assert len(feed.rows()) <= FEWEST_ROWS


def test_a_reader_gets_what_is_new_in_pieces() -> None:
    feed = Feed({})
    for number in range(10):
        feed.add(row(number))
    assert [r.number for r in feed.after(-1, 4)] == [0, 1, 2, 3]
    assert [r.number for r in feed.after(7, 4)] == [8, 9]
    assert feed.after(9, 4) == []


def test_text_is_json_without_nan() -> None:
    feed = Feed({})
    feed.add({"round": 1, "metrics": {"loss": math.nan, "auc": math.inf, "n": 3}})
    found = json.loads(feed.rows()[0].text, parse_constant=lambda name: 1 / 0)
    assert found == {"round": 1, "metrics": {"loss": None, "auc": None, "n": 3}}


def test_the_end_wakes_who_waits() -> None:
    feed = Feed({})
    assert feed.status["state"] == RUNNING
    waiting = Thread(target=feed.pause, args=(60,))
    waiting.start()
    feed.end(FINISHED, "", "again")
    waiting.join(10)
    assert not waiting.is_alive()
    assert feed.status == {"state": FINISHED, "message": "", "again": "again"}
    feed.pause(60)  # returns at once
