"""Consent: the client's own count of what it gave away, before any code of a run is executed."""

from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from clients.clinic import clinic_of
from clients.messages import clinic_settings
from federation.backends.inprocess import run_config
from federation.deployment.consent import Consent, Refused
from federation.deployment.policy import Policy
from strategies.presets import compose
from strategies.privacy.mechanisms import spent_epsilon
from strategies.settings import Settings
from strategies.wrappers.global_differential_privacy import to_config
from strategies.wrappers.protocol import MODEL
from strategies.wrappers.vectors import to_array

RUN = compose("dp-gd", {"clients": 3, "rounds": 10})


def asked(
    settings: Settings, number: int, run: int = 1, kind: str = "train"
) -> tuple[Message, Context]:
    """Return a request of a round and the context of clinic 0 in a run."""
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = run, 1, 1
    content = RecordDict(
        {
            "arrays": ArrayRecord({MODEL: to_array(np.full(10, float(number)))}),
            "config": ConfigRecord({"server-round": number}),
        }
    )
    node = {"partition-id": 0, "deployed": True}
    message = Message(content, dst_node_id=2, message_type=kind)
    return message, Context(run, 2, node, RecordDict(), run_config(settings))


def epsilon_of(settings: Settings, uploads: int) -> float:
    _, context = asked(settings, 1)
    clinic = clinic_of(context, clinic_settings(context))
    return spent_epsilon(settings, clinic.weight, clinic.norm_bound, uploads, 1e-5)


def consent(tmp_path: Path, **limits: object) -> Consent:
    return Consent(Policy(**limits), (), tmp_path / "spent.db")  # type: ignore[arg-type]


def test_uploads_are_counted_over_runs_and_a_repeated_round_costs_nothing(tmp_path: Path) -> None:
    own = consent(tmp_path, max_uploads=2)
    own.to_request(*asked(RUN, 1))
    own.to_request(*asked(RUN, 1))
    own.to_request(*asked(RUN, 1, run=2))
    for number, run in ((2, 1), (1, 3)):
        with pytest.raises(Refused, match="2 uploads were made"):
            own.to_request(*asked(RUN, number, run))
    own.to_request(*asked(RUN, 1))


def test_the_count_survives_a_restart_and_is_private(tmp_path: Path) -> None:
    consent(tmp_path, max_uploads=1).to_request(*asked(RUN, 1))
    assert (tmp_path / "spent.db").stat().st_mode & 0o777 == 0o600
    with pytest.raises(Refused, match="1 uploads were made"):
        consent(tmp_path, max_uploads=1).to_request(*asked(RUN, 2))


@pytest.mark.parametrize("strategy", ["dp-gd", "certified", "dp-sgd"])
def test_epsilon_of_one_upload_is_held_to_its_limit(strategy: str, tmp_path: Path) -> None:
    run = compose(strategy, {"clients": 3})
    one = epsilon_of(run, 1)
    consent(tmp_path, max_epsilon_per_round=1.001 * one).to_request(*asked(run, 1))
    with pytest.raises(Refused, match="of one upload is more than"):
        consent(tmp_path, max_epsilon_per_round=0.999 * one).to_request(*asked(run, 2))


def test_epsilon_in_all_stops_the_upload_that_would_pass_it(tmp_path: Path) -> None:
    limit = 0.5 * (epsilon_of(RUN, 3) + epsilon_of(RUN, 4))
    own = consent(tmp_path, max_epsilon_total=limit)
    for number, run in ((1, 1), (2, 1), (1, 2)):
        own.to_request(*asked(RUN, number, run))
    with pytest.raises(Refused, match="would bring epsilon"):
        own.to_request(*asked(RUN, 3))


def test_the_calibration_of_the_message_counts_not_that_of_the_run(tmp_path: Path) -> None:
    run = compose("global-dp", {"clients": 3, "rounds": 2})
    message, context = asked(run, 1)
    honest = consent(tmp_path, max_epsilon_per_round=1.01 * epsilon_of(run, 1))
    weaker = run.changed(epsilon=10 * run.epsilon).calibration()
    smallest = clinic_of(context, clinic_settings(context)).weight
    config = to_config(weaker, smallest)
    message.content["config"] = ConfigRecord({"server-round": 1, **config})
    with pytest.raises(Refused, match="of one upload is more than"):
        honest.to_request(message, context)


def test_a_run_without_noise_is_refused_where_epsilon_is_limited(tmp_path: Path) -> None:
    plain = compose("fedavg", {"clients": 3})
    own = consent(tmp_path, mechanisms=("none",), max_epsilon_total=5.0)
    with pytest.raises(Refused, match="without noise has no epsilon"):
        own.to_request(*asked(plain, 1))
    consent(tmp_path, mechanisms=("none",), max_uploads=3).to_request(*asked(plain, 1))


@pytest.mark.parametrize("kind", ["train", "train.other"])
def test_no_way_around_by_another_name(kind: str, tmp_path: Path) -> None:
    own = consent(tmp_path, max_uploads=1)
    own.to_request(*asked(RUN, 1))
    with pytest.raises(Refused):
        own.to_request(*asked(RUN, 2, kind=kind))


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    message, context = asked(RUN, 1)
    del message.content["arrays"]
    with pytest.raises(Refused, match="cannot be read"):
        consent(tmp_path, max_uploads=1).to_request(message, context)
    context.run_config["epsilom"] = 3.0
    with pytest.raises(Refused, match="unknown setting"):
        consent(tmp_path).to_request(
            *(message, Context(1, 2, {}, RecordDict(), dict(context.run_config)))
        )


def test_only_listed_code_runs(tmp_path: Path) -> None:
    own = Consent(Policy(), ("ab" * 32,), tmp_path / "spent.db")
    own.to_bundle("ab" * 32)
    with pytest.raises(Refused, match="bundle cdcdcdcdcdcd is not on this client's list"):
        own.to_bundle("cd" * 32)
    Consent(Policy(), (), tmp_path / "spent.db").to_bundle("cd" * 32)


RATED = RUN.changed(
    selection="reputation", detector="algorithm1", ratings="noised", rating_epsilon=2.0
)


def test_noised_ratings_count_towards_the_limit_on_epsilon_in_all(tmp_path: Path) -> None:
    limit = spent_epsilon(RATED, 27, 1.0, 1, 1e-5, 2) * 1.0001
    own = consent(tmp_path, max_epsilon_total=limit, max_uploads=1)
    own.to_request(*asked(RATED, 1))
    for number in (1, 2):
        own.to_request(*asked(RATED, number, kind="evaluate"))
        own.to_request(*asked(RATED, number, kind="evaluate"))  # again, and free
    with pytest.raises(Refused, match="would bring epsilon"):
        own.to_request(*asked(RATED, 3, kind="evaluate"))


def test_ratings_are_no_uploads(tmp_path: Path) -> None:
    own = consent(tmp_path, max_uploads=1)
    own.to_request(*asked(RATED, 1, kind="evaluate"))
    own.to_request(*asked(RATED, 1))
    own.to_request(*asked(RATED, 2, kind="evaluate"))


def test_a_policy_may_allow_no_noised_ratings_and_uploads_all_the_same(tmp_path: Path) -> None:
    own = consent(tmp_path, ratings=("public",))
    with pytest.raises(Refused, match="noised ratings are not among public"):
        own.to_request(*asked(RATED, 1, kind="evaluate"))
    own.to_request(*asked(RATED, 1))
    own.to_request(*asked(RATED.changed(ratings="public", rating_epsilon=1.0), 1, kind="evaluate"))
    own.to_request(*asked(RUN, 1, kind="evaluate"))


def test_epsilon_of_one_rating_is_held_to_its_limit(tmp_path: Path) -> None:
    one = spent_epsilon(RATED, 27, 1.0, 0, 1e-5, 1)
    request = asked(RATED, 1, kind="evaluate")
    consent(tmp_path, max_epsilon_per_round=1.001 * one).to_request(*request)
    with pytest.raises(Refused, match="of one rating is more than"):
        consent(tmp_path, max_epsilon_per_round=0.999 * one).to_request(*request)
