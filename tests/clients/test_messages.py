"""What every client handler shares: where noise comes from."""

from typing import Any

from flwr.app import Context, RecordDict

from clients.messages import noise_of
from federation.backends.inprocess import run_config
from strategies.settings import Settings
from tests.peers import settings_of


def context(settings: Settings, **node: Any) -> Context:
    config = {"partition-id": 0, "num-partitions": settings.clients, **node}
    return Context(1, 1000, config, RecordDict(), run_config(settings))


def test_a_deployed_clinic_never_takes_noise_that_a_seed_repeats() -> None:
    settings = settings_of()
    assert noise_of(context(settings), settings) == "seeded"
    deployed = context(settings, **{"data-path": "/srv/clinic-00.csv"})
    assert noise_of(deployed, settings) == "system"
    discrete = settings_of("dp-gd", noise="discrete", learning_rate=3.0)
    assert noise_of(deployed, discrete) == "discrete"
    deployed.node_config["allow-seeded-noise"] = True
    assert noise_of(deployed, settings) == "seeded"
