"""The ledger mod: what is charged, what is refused, and what a repeated round gets."""

from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict

import tests.peers  # noqa: F401 - sets the task that Flower's messages belong to
from clients.ledger_mod import SPENT, charge_upload, data_name, ledger_url, upload_number
from federation.backends.inprocess import run_config
from strategies.presets import compose
from strategies.privacy.ledger_store import LedgerStore
from strategies.settings import Settings
from strategies.wrappers.protocol import REFUSAL
from strategies.wrappers.vectors import to_array, to_vector


def context(settings: Settings, **node: Any) -> Context:
    config = {"partition-id": 2, "num-partitions": settings.clients, **node}
    return Context(1, 1002, config, RecordDict(), run_config(settings))


def request(server_round: int = 1) -> Message:
    arrays = ArrayRecord({"model": to_array(np.full(10, float(server_round)))})
    content = RecordDict({"arrays": arrays, "config": ConfigRecord({"server-round": server_round})})
    return Message(content, dst_node_id=1002, message_type="train")


class Trainer:
    """Uploads a fresh vector at every call, as a mechanism with fresh noise does."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, message: Message, _: Context) -> Message:
        self.calls += 1
        arrays = ArrayRecord({"model": to_array(np.full(10, float(self.calls)))})
        content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 27})})
        return Message(content, reply_to=message)


def uploaded(reply: Message) -> float:
    return float(to_vector(reply.content["arrays"]["model"])[0])


def test_an_upload_is_counted_in_the_clinics_own_state() -> None:
    settings = compose("dp-gd", {})
    own = context(settings)
    for number in (1, 2):
        charge_upload(request(number), own, Trainer())
    assert own.state[SPENT]["uploads"] == 2


def test_a_refusal_by_an_inner_mod_is_not_charged() -> None:
    own = context(compose("dp-gd", {}))

    def decline(message: Message, _: Context) -> Message:
        return Message(RecordDict({REFUSAL: ConfigRecord({REFUSAL: "no"})}), reply_to=message)

    charge_upload(request(), own, decline)
    assert SPENT not in own.state


def test_beyond_the_budget_nothing_is_trained_and_nothing_leaves() -> None:
    own, trainer = context(compose("dp-gd", {"max_epsilon": 1e-3})), Trainer()
    reply = charge_upload(request(), own, trainer)
    assert list(reply.content) == [REFUSAL]
    assert str(reply.content[REFUSAL][REFUSAL]).startswith("PrivacyBudgetExhausted: ")
    assert trainer.calls == 0


def test_a_clinics_own_limits_hold_whatever_the_run_says() -> None:
    settings = compose("dp-gd", {"max_epsilon": 5.0})
    strict = context(settings, **{"max-epsilon": 1e-3})
    assert list(charge_upload(request(), strict, Trainer()).content) == [REFUSAL]
    own, trainer = context(settings, **{"max-uploads": 1}), Trainer()
    assert uploaded(charge_upload(request(1), own, trainer)) == 1.0
    assert list(charge_upload(request(2), own, trainer).content) == [REFUSAL]
    loose = context(compose("dp-gd", {"max_epsilon": 1e-3}), **{"max-epsilon": 9.0})
    assert list(charge_upload(request(), loose, Trainer()).content) == [REFUSAL]
    with pytest.raises(ValueError, match="max-epsilon of this clinic"):
        charge_upload(request(), context(settings, **{"max-epsilon": -1.0}), Trainer())


def test_a_repeated_round_gets_the_same_bytes_and_costs_nothing_twice(tmp_path) -> None:
    settings = compose("dp-gd", {"ledger": str(tmp_path / "l.db"), "max_uploads": 2})
    own, trainer = context(settings), Trainer()
    first = charge_upload(request(1), own, trainer)
    again = charge_upload(request(1), own, trainer)
    assert uploaded(first) == uploaded(again) == 1.0
    assert uploaded(charge_upload(request(2), own, trainer)) == 3.0
    refused = charge_upload(request(3), own, trainer)
    assert list(refused.content) == [REFUSAL]
    assert uploaded(charge_upload(request(2), own, trainer)) == 3.0  # still answered, still free


def test_a_run_without_noise_has_no_ledger() -> None:
    own = context(compose("fedavg", {}))
    charge_upload(request(), own, Trainer())
    assert SPENT not in own.state


def test_data_is_named_by_its_file_or_by_its_part_of_the_cut() -> None:
    settings = compose("dp-gd", {})
    assert data_name(context(settings, **{"data-path": "/srv/clinic-02.csv"}), settings) == (
        "/srv/clinic-02.csv"
    )
    simulated = data_name(context(settings), settings)
    assert simulated.startswith("clinic 2 of ")
    assert simulated == data_name(context(settings), settings.changed(epsilon=3.0))
    assert simulated != data_name(context(settings), settings.changed(seed=2))


def test_a_path_is_an_sqlite_file_and_a_url_stays_one() -> None:
    assert ledger_url("/srv/l.db") == "sqlite:////srv/l.db"
    assert ledger_url("postgresql://host/db") == "postgresql://host/db"


def test_a_clinic_that_counts_what_it_spends_takes_no_part_without_noise(tmp_path) -> None:
    plain = compose("fedavg", {})
    for limit in ({"max-epsilon": 1.0}, {"max-uploads": 1}, {"ledger": str(tmp_path / "l.db")}):
        trainer = Trainer()
        assert list(charge_upload(request(), context(plain, **limit), trainer).content) == [REFUSAL]
        assert trainer.calls == 0


def test_the_charge_is_for_the_noise_that_the_message_asks_for() -> None:
    """A run config with a harmless epsilon must not hide a message that asks for none."""
    from strategies.privacy.global_dp import GlobalDP
    from strategies.wrappers.global_differential_privacy import to_config

    settings = compose("global-dp", {"epsilon": 0.001, "rounds": 10, "max_epsilon": 1.0})
    message = request()
    for key, value in to_config(GlobalDP(1e9, 0.01, 0.5, 10, 1), 27).items():
        message.content["config"][key] = value
    reply = charge_upload(message, context(settings), Trainer())
    assert "PrivacyBudgetExhausted" in str(reply.content[REFUSAL][REFUSAL])


def test_a_large_delta_does_not_loosen_a_clinics_limit() -> None:
    settings = compose("dp-gd", {"epsilon": 0.3, "delta": 0.9})
    strict = context(settings, **{"max-epsilon": 1.0})
    assert list(charge_upload(request(), strict, Trainer()).content) == [REFUSAL]
    loose = context(settings, **{"max-epsilon": 1.0, "max-delta": 0.9})
    assert uploaded(charge_upload(request(), loose, Trainer())) == 1.0


def test_a_deployed_clinic_keeps_its_ledger_where_its_own_machine_says(tmp_path) -> None:
    from clients.ledger_mod import ledger_of

    settings = compose("dp-gd", {"ledger": "postgresql://elsewhere/db"})
    assert ledger_of(context(settings), settings) == "postgresql://elsewhere/db"
    deployed = context(settings, **{"data-path": "/srv/clinic.csv"})
    assert ledger_of(deployed, settings) == ""
    deployed.node_config["ledger"] = "own.db"
    assert ledger_of(deployed, settings) == "own.db"


def numbered(server_round: int, number: int) -> Message:
    message = request(server_round)
    message.content["config"]["upload-number"] = number
    return message


def test_which_upload_it_is_a_clinic_counts_itself_and_the_server_can_only_raise() -> None:
    """A lost reply was an upload all the same: less noise a second time is never given."""
    own = context(compose("dp-gd", {"first_share": 0.3}))
    assert upload_number(request(7), own) == 1  # six rounds in which it was not asked cost nothing
    assert upload_number(numbered(7, 3), own) == 3
    charge_upload(request(7), own, Trainer())
    charge_upload(request(8), own, Trainer())
    assert upload_number(numbered(9, 1), own) == upload_number(numbered(9, -5), own) == 3


def test_a_ledger_on_disk_charges_each_upload_what_its_noise_costs(tmp_path: Any) -> None:
    """The same data, once in memory and once on disk: the same noise index, the exact sum."""
    settings = compose(
        "dp-gd", {"first_share": 0.3, "epsilon": 2.0, "ledger": str(tmp_path / "ledger.db")}
    )
    own = context(settings)
    for number in range(1, settings.rounds + 1):
        assert upload_number(request(number), own) == number
        reply = charge_upload(request(number), own, Trainer())
        assert uploaded(reply) == 1.0  # a Trainer of its own, called once
    ledger = LedgerStore(ledger_url(settings.ledger)).load(data_name(own, settings))
    assert ledger.epsilon("server", settings.delta) == pytest.approx(2.0, rel=1e-6)
