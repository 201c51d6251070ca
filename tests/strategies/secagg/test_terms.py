"""Terms hold their promise for the worst colluders and dropouts, checked by brute force."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.secagg.errors import RoundAbandoned, SecAggError
from strategies.secagg.terms import (
    Graph,
    Terms,
    check_survivors,
    default_threshold,
    graph_of,
    least_threshold,
    terms_for,
)


def connected(graph: Graph, left: set[int]) -> bool:
    reached, todo = set(), [min(left)]
    while todo:
        member = todo.pop()
        if member not in reached:
            reached.add(member)
            todo += [peer for peer in graph[member] if peer in left]
    return reached == left


def graph(members: int, degree: int) -> Graph:
    return graph_of(range(members), [bytes([m]) * 64 for m in range(members)], degree)


@pytest.mark.parametrize(("members", "degree"), [(8, 3), (9, 4), (9, 5), (11, 4), (7, 2), (6, 5)])
def test_the_graph_stays_connected_whoever_leaves(members: int, degree: int) -> None:
    edges = graph(members, degree)
    assert all(len(edges[m]) in (degree, degree + 1) for m in edges)
    assert all(one in edges[other] for one in edges for other in edges[one])
    for gone in combinations(range(members), degree - 1):
        assert connected(edges, set(range(members)) - set(gone))


@given(st.integers(3, 30), st.integers(0, 10), st.integers(0, 29), st.integers(0, 20))
def test_terms_that_pass_cannot_open_both_secrets_of_a_member(
    members: int, colluders: int, threshold: int, neighbours: int
) -> None:
    try:
        terms = terms_for(members, threshold, colluders, neighbours)
    except SecAggError:
        return
    asked = {members, max(members - 1, 2)}  # one who does not answer makes an odd number of them
    for holders in {len(peers) + 1 for n in asked for peers in graph(n, terms.degree).values()}:
        honest = holders - colluders
        # honest holders reveal one kind each; split them as the server likes
        assert not any(
            split + colluders >= terms.threshold and honest - split + colluders >= terms.threshold
            for split in range(honest + 1)
        )
    assert terms.threshold > colluders
    assert terms.least_survivors - colluders >= 2
    assert members - terms.least_survivors + colluders < terms.degree


def test_the_defaults_of_twenty_clinics() -> None:
    assert terms_for(20).threshold == terms_for(20).least_survivors == 14
    assert terms_for(20, colluders=6).threshold == 14
    assert terms_for(20, colluders=10).threshold == 16
    assert default_threshold(11, 0) == 8
    assert least_threshold(20, 6) == 14


@pytest.mark.parametrize(
    "values",
    [
        {"members": 2, "threshold": 2},
        {"members": 20, "threshold": 10},
        {"members": 20, "threshold": 21},
        {"members": 20, "threshold": 13, "colluders": 6},
        {"members": 20, "threshold": 20, "colluders": 19},
        {"members": 20, "threshold": 14, "bits": 63},
        {"members": 20, "threshold": 14, "bits": 7},
        {"members": 20, "threshold": 5, "neighbours": 20},
        {"members": 20, "threshold": 7, "neighbours": 6, "colluders": 6},
        {"members": 21, "threshold": 3, "neighbours": 3, "colluders": 1},  # one has 4 neighbours
    ],
)
def test_terms_without_a_promise_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(SecAggError):
        Terms(**values)


def test_too_few_survivors_open_nothing() -> None:
    terms = terms_for(6)
    check_survivors(range(5), range(6), terms)
    with pytest.raises(RoundAbandoned, match="4 of 6"):
        check_survivors(range(4), range(6), terms)
    with pytest.raises(RoundAbandoned, match="never shared"):
        check_survivors([0, 1, 2, 3, 9], range(6), terms)
