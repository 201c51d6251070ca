"""The ClientApp: exactly what each answer carries, and what stays in the clinic."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict

from clients.app import LOCAL_EVALUATION, app
from clients.clinic import clinic_of
from datasets.shards import write_shards
from federation.backends.inprocess import run_config
from strategies.learning.task import federation_of
from strategies.settings import Settings
from strategies.wrappers.global_differential_privacy import to_config
from strategies.wrappers.vectors import to_array
from tests.peers import settings_of, weights_of

WEIGHTS = np.linspace(-0.3, 0.4, 10)


def context(settings: Settings, partition: int = 1, **node: Any) -> Context:
    config = {"partition-id": partition, "num-partitions": settings.clients, **node}
    return Context(1, 1001, config, RecordDict(), run_config(settings))


def request(kind: str, settings: Settings) -> Message:
    m = min(federation_of(settings).sizes)
    config = ConfigRecord({"server-round": 3} | to_config(settings.calibration(), m))
    arrays = ArrayRecord({"model": to_array(WEIGHTS)})
    return Message(RecordDict({"arrays": arrays, "config": config}), 1001, kind)


def plain(content: RecordDict) -> dict[str, dict[str, Any]]:
    return {key: dict(record.items()) for key, record in content.items()}


@pytest.mark.parametrize("strategy", ["global-dp", "fedavg"])
def test_a_train_reply_carries_the_model_and_the_public_record_count(strategy: str) -> None:
    settings = settings_of(strategy)
    reply = app(request("train", settings), context(settings))
    assert set(reply.content) == {"arrays", "metrics"}
    assert isinstance(reply.content["metrics"], MetricRecord)
    size = federation_of(settings).sizes[1]
    assert plain(reply.content)["metrics"] == {"num-examples": size, "server-round": 3}
    assert set(reply.content["arrays"]) == {"model"}
    assert weights_of(reply).shape == (10,)


def test_without_noise_the_reply_is_the_trained_model() -> None:
    settings = settings_of("fedavg", batch_size=5)
    own = context(settings)
    trained = clinic_of(own, settings).train(WEIGHTS, settings, 3)
    assert weights_of(app(request("train", settings), own)).tobytes() == trained.tobytes()


def test_the_evaluation_stays_in_the_clinic() -> None:
    settings = settings_of()
    own = context(settings)
    reply = app(request("evaluate", settings), own)
    assert plain(reply.content) == {"metrics": {"num-examples": federation_of(settings).sizes[1]}}
    kept = own.state[LOCAL_EVALUATION]
    clinic = clinic_of(own, settings)
    assert dict(kept.items()) == clinic.evaluate(WEIGHTS, settings).as_lists()
    assert sum(kept["confusion"]) == clinic.records


def test_hello_says_role_partition_and_records_and_nothing_else() -> None:
    settings = settings_of()
    hello = Message(RecordDict({"config": ConfigRecord()}), 1001, "query.hello")
    reply = app(hello, context(settings, partition=4))
    assert plain(reply.content) == {
        "metrics": {
            "num-examples": federation_of(settings).sizes[4],
            "partition-id": 4,
            "num-partitions": 7,
        },
        "config": {"role": "clinic", "noise": "seeded"},
    }


def test_the_launchers_out_is_no_setting_of_the_client() -> None:
    """``flwr run`` hands the client the whole run config, ``out`` included."""
    settings = settings_of()
    own = context(settings)
    own.run_config["out"] = "/somewhere"
    assert app(request("train", settings), own).has_content()


def test_more_clients_than_the_run_config_names_cut_the_data_that_often() -> None:
    settings = settings_of()
    own = context(settings)
    own.node_config["num-partitions"] = 14
    reply = app(request("evaluate", settings), own)
    assert plain(reply.content)["metrics"] == {"num-examples": 39}


def test_a_partition_that_does_not_exist_is_said() -> None:
    settings = settings_of()
    with pytest.raises(ValueError, match="partition 7 does not exist: the data is cut into 7"):
        app(request("train", settings), context(settings, partition=7))


def test_a_deployed_clinic_reads_its_own_file_and_never_the_embedded_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of("fedavg")
    parts = federation_of(settings)
    path = write_shards(parts.table, parts.shards, tmp_path / "shards")[1]
    simulated = weights_of(app(request("train", settings), context(settings)))
    monkeypatch.setattr("clients.clinic.federation_of", lambda _: pytest.fail("read"))
    own = context(settings, **{"data-path": str(path)})
    assert weights_of(app(request("train", settings), own)).tobytes() == simulated.tobytes()


def test_clinics_of_runs_that_are_over_are_forgotten() -> None:
    """A comparison goes through thousands of runs in one process."""
    from clients.clinic import _clinics_of

    for seed in range(5):
        settings = settings_of(seed=seed)
        clinic_of(context(settings), settings)
    assert _clinics_of.cache_info().currsize <= 2
    assert clinic_of(context(settings), settings) is clinic_of(context(settings), settings)
