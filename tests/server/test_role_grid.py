"""Roles are said once, bound to an identity, and decide which phase sees a node."""

import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from server.checked_grid import CheckedGrid
from server.registry import Participant, Registry
from server.replies import ReplyRejected, judge_hello
from server.role_grid import PROVIDERS, RATERS, RoleGrid
from tests.peers import grid_of, settings_of

ROLES = ("device", "user", "clinic", "user")


def who(partition: int, role: str) -> Participant:
    return Participant(f"partition:{partition}", partition, 1000 + partition, role, 1)


def checked(*roles: str) -> CheckedGrid:
    registry = Registry(who(place, role) for place, role in enumerate(roles)) if roles else None
    return CheckedGrid(grid_of(settings_of(clients=4)), {}, registry=registry)


def test_providers_train_and_raters_evaluate_a_clinic_does_both() -> None:
    grid = checked(*ROLES)
    assert RoleGrid(grid, PROVIDERS).get_node_ids() == [1000, 1002]
    assert RoleGrid(grid, RATERS).get_node_ids() == [1001, 1002, 1003]
    assert {n.node_id for n in RoleGrid(grid, PROVIDERS).get_nodes()} == {1000, 1002}


def test_on_a_federation_of_clinics_everybody_is_both() -> None:
    grid = checked("clinic", "clinic", "clinic")
    for roles in (PROVIDERS, RATERS):
        assert RoleGrid(grid, roles).get_node_ids() == [1000, 1001, 1002]


def test_before_enrolment_everybody_is_shown() -> None:
    assert RoleGrid(checked(), PROVIDERS).get_node_ids() == [1000, 1001, 1002, 1003]


def hello(role: str) -> RecordDict:
    metrics = MetricRecord({"num-examples": 1, "partition-id": 1, "num-partitions": 4})
    config = ConfigRecord({"role": role, "noise": "seeded"})
    return RecordDict({"metrics": metrics, "config": config})


@pytest.mark.parametrize("role", ["clinic", "device", "user"])
def test_a_role_is_said_once(role: str) -> None:
    judge_hello(hello(role), None)
    judge_hello(hello(role), who(1, role))
    for other in {"clinic", "device", "user"} - {role}:
        with pytest.raises(ReplyRejected, match=f"enrolled as {role} and now says it is {other}"):
            judge_hello(hello(other), who(1, role))


def test_an_unknown_role_is_rejected() -> None:
    with pytest.raises(ReplyRejected, match="unknown role 'server'"):
        judge_hello(hello("server"), None)
