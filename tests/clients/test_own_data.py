"""A deployed client reads what its own machine names, and never a path that a server names."""

from pathlib import Path

import pytest
from flwr.app import Context, RecordDict

from clients.clinic import clinic_of
from clients.ledger_mod import ledger_of
from clients.messages import clinic_settings, noise_of
from datasets.errors import DataError
from datasets.shards import write_shards
from federation.backends.inprocess import run_config
from strategies.learning.task import federation_of
from strategies.presets import compose
from strategies.settings import Settings

CLINICS = compose("global-dp", {"clients": 3, "rounds": 2})


def context_of(settings: Settings, **node: object) -> Context:
    return Context(1, 2, dict(node), RecordDict(), run_config(settings))  # type: ignore[arg-type]


def test_a_path_of_the_server_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("never read\n")
    for name in ("data", "schema"):
        run = CLINICS.changed(**{name: str(secret)})
        context = context_of(run, deployed=True, **{"partition-id": 0})
        with pytest.raises(DataError, match="reads no file that a server names"):
            clinic_settings(context)


def test_its_own_shard_is_read_whatever_the_run_names(tmp_path: Path) -> None:
    parts = federation_of(CLINICS)
    paths = write_shards(parts.table, parts.shards, tmp_path / "shards")
    run = CLINICS.changed(data="/etc/passwd")
    node = {"partition-id": 1, "data-path": str(paths[1]), "deployed": True}
    clinic = clinic_of(context := context_of(run, **node), clinic_settings(context))
    assert clinic.records == parts.sizes[1]


def test_without_a_file_it_takes_its_part_of_the_shipped_data() -> None:
    context = context_of(CLINICS, deployed=True, **{"partition-id": 2})
    clinic = clinic_of(context, clinic_settings(context))
    assert clinic.records == federation_of(CLINICS).sizes[2]


def test_a_device_reads_its_own_root_and_no_other() -> None:
    market = compose("reputation", {"dataset": "carrada", "market": "payload", "data": "/servers"})
    own = context_of(market, deployed=True, **{"data-path": "/my/root", "partition-id": 0})
    assert clinic_settings(own).data == "/my/root"
    with pytest.raises(DataError, match="reads no file"):
        clinic_settings(context_of(market, deployed=True, **{"partition-id": 0}))


def test_a_deployed_client_keeps_noise_and_ledger_to_itself() -> None:
    run = CLINICS.changed(ledger="sqlite:////tmp/servers.db")
    deployed = context_of(run, deployed=True, **{"partition-id": 0})
    assert noise_of(deployed, run) == "system"
    assert ledger_of(deployed, run) == ""
    simulated = context_of(run, **{"partition-id": 0})
    assert (noise_of(simulated, run), ledger_of(simulated, run)) == ("seeded", run.ledger)
