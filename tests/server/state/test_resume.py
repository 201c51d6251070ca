"""A run that was killed and resumed ends, to the last bit, as if nothing had happened."""

import sqlite3
from pathlib import Path

import pytest
from flwr.serverapp.strategy import FedAvg
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from federation.runner import launch
from server.errors import RunFailed, StateError
from server.fingerprint import identity_of
from server.market import MarketOutcome
from server.registry import Participant, Registry
from server.replies import TrainJudge
from server.state.run_keeper import continued_run, new_run
from server.state.store import StateStore
from server.upload_judge import UploadJudge
from strategies.privacy.ledger_store import LedgerStore
from strategies.settings import Settings
from strategies.wrappers.state import Layers
from tests.markets import market_settings
from tests.peers import settings_of
from tests.server.state import runs
from tests.server.state.runs import finish, killed, resumed

MODELS = {
    "global-dp": settings_of(rounds=6),
    "certified": settings_of("certified", rounds=6),
    "dp-gd": settings_of("dp-gd", rounds=6),
    "fedadam": settings_of(rounds=6, aggregation="fedadam"),
    "batches": settings_of("fedavg", rounds=6, batch_size=8),
    "multikrum": settings_of("fedavg", rounds=6, aggregation="multikrum", byzantine=1),
    "own-limits": settings_of("dp-gd", rounds=6, max_uploads=4),
    "stale": settings_of("dp-gd", rounds=6, attack="stale-round", attackers=2),
    "replay": settings_of("dp-gd", rounds=6, attack="replay", attackers=2),
    "trusted": settings_of(
        "dp-gd", rounds=6, selection="reputation", attack="sign-flip", attackers=2
    ),
    "first-share": settings_of("dp-gd", rounds=6, first_share=0.4, uploads=3),
    "secure": settings_of("fedavg", rounds=5, secure_aggregation="on"),
    "shared-noise": settings_of("shared-noise", rounds=5),
    "priced": settings_of("dp-gd", rounds=6, price_per_epsilon=200_000, record_value=0.002),
}
MARKETS = {
    "reputation": market_settings(),
    "unfiltered": market_settings(selection="unfiltered"),
    "nobody-trusted": market_settings(attack_rates="1,1,1"),
    "best": market_settings(top_k=4, discount="reputation", pair_rule="coin"),
    "greedy": market_settings(auction="greedy", reserve=400_000, budget=2_000_000),
    "payload": market_settings(market="payload", rounds=12, episode_length=6),
}


@pytest.mark.parametrize(
    "before",
    [pytest.param(True, id="in"), pytest.param(False, id="after", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("name", [*MODELS, *MARKETS])
def test_every_mechanism_ends_as_if_nothing_had_happened(
    name: str, before: bool, tmp_path: Path
) -> None:
    settings = (MODELS | MARKETS)[name]
    place = tmp_path / "state.db"
    killed(settings, place, settings.rounds // 2, before=before)
    assert resumed(settings, place) == finish(settings)


@pytest.mark.slow
def test_dp_sgd_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    settings = settings_of("dp-sgd", rounds=4, clients=3)
    killed(settings, tmp_path / "state.db", 2)
    assert resumed(settings, tmp_path / "state.db") == finish(settings)


@given(kills=st.lists(st.integers(0, 6), min_size=1, max_size=4))
@hypothesis_settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_may_be_killed_again_and_again(
    kills: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings, place = MODELS["fedadam"], tmp_path_factory.mktemp("kills") / "state.db"
    first, *others = sorted(kills)
    killed(settings, place, first)
    for number in others:
        keeper = runs.Killing(continued_run(StateStore(place), identity_of(settings)), number)
        try:
            launch(settings, lambda _: None, keeper)
        except runs.Killed:
            continue
    assert resumed(settings, place) == finish(settings)


def test_a_checkpoint_is_small_and_a_round_is_written_once(tmp_path: Path) -> None:
    settings, place = MARKETS["reputation"], tmp_path / "state.db"
    killed(settings, place, 20)
    store = StateStore(place)
    found = store.newest()
    assert found is not None and found.round == 20
    state, rounds = store.take_over(found.run, "test")
    assert len(rounds) == 21
    assert len(state) < 4000  # 9 devices, 20 slots of evidence
    assert (place.stat().st_mode & 0o777) == 0o600


def test_rounds_are_told_again_but_not_run_again(tmp_path: Path) -> None:
    settings, place = MODELS["global-dp"], tmp_path / "state.db"
    killed(settings, place, 4)
    told: list[float] = []
    keeper = continued_run(StateStore(place), identity_of(settings))
    launch(settings, lambda record: told.append(record.seconds), keeper)
    again: list[float] = []
    keeper = continued_run(StateStore(place), identity_of(settings))
    launch(settings, lambda record: again.append(record.seconds), keeper)
    assert told == again  # clocks too: nothing ran twice


def test_fresh_noise_goes_on_and_its_ledger_is_charged_once_a_round(tmp_path: Path) -> None:
    """Noise that cannot be repeated: the rounds before the kill keep theirs."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    settings = settings_of("dp-gd", rounds=5, noise="system", ledger=url)
    killed(settings, tmp_path / "state.db", 3, before=True)
    assert "failed" not in resumed(settings, tmp_path / "state.db")
    store = LedgerStore(url)
    assert [store.load(name).uploads() for name in store.names()] == [5] * 7


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"epsilon": 5.0}, "--epsilon was 30.0 and is 5.0"), ({"seed": 2}, "--seed was 1 and is 2")],
    ids=str,
)
def test_other_settings_are_refused(changes: dict[str, float], why: str, tmp_path: Path) -> None:
    settings, place = MODELS["global-dp"], tmp_path / "state.db"
    killed(settings, place, 2)
    with pytest.raises(StateError, match=f"cannot be resumed: {why}; ") as caught:
        continued_run(StateStore(place), identity_of(settings.changed(**changes)))
    assert "\n" not in str(caught.value)


def test_other_code_or_data_is_refused(tmp_path: Path) -> None:
    settings, place = MODELS["global-dp"], tmp_path / "state.db"
    killed(settings, place, 2)
    identity = identity_of(settings)
    code = {**identity, "versions": {**identity["versions"], "code": "0123456789ab"}}
    with pytest.raises(StateError, match=r"cannot be resumed: code was '\w{12}' and is '0123"):
        continued_run(StateStore(place), code)
    with pytest.raises(StateError, match="the file behind --data has changed"):
        continued_run(StateStore(place), {**identity, "data": "another"})


def test_others_than_began_it_cannot_go_on_with_it(tmp_path: Path) -> None:
    settings, place = MODELS["global-dp"], tmp_path / "state.db"
    killed(settings, place, 2)

    def enrolled(*numbers: int) -> Registry:
        return Registry(Participant(f"partition:{n}", n, 7 + n, "clinic", 78) for n in numbers)

    keeper = continued_run(StateStore(place), identity_of(settings))
    for registry, why in (
        (enrolled(*range(6)), "partition:6 began it and is not there"),
        (enrolled(*range(8)), "partition:7 did not begin it"),
    ):
        with pytest.raises(RunFailed, match=f"^this run cannot go on: {why}$"):
            keeper.resume(registry, {})


def test_an_empty_database_has_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="has no run to resume: start one with --checkpoint"):
        continued_run(StateStore(tmp_path / "state.db"), identity_of(Settings()))


def test_two_processes_never_continue_one_run(tmp_path: Path) -> None:
    """Who resumes owns the run: the one that was thought dead cannot write any more."""
    settings, place = MODELS["global-dp"], tmp_path / "state.db"
    stale = new_run(StateStore(place), identity_of(settings))
    taken: list[object] = []

    def told(record: object) -> None:
        if len(taken) == 3:
            continued_run(StateStore(place), identity_of(settings))
        taken.append(record)

    with pytest.raises(RunFailed, match="another process continues this run"):
        launch(settings, told, stale)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE durable_runs SET state = substr(state, 9)",
        "UPDATE durable_runs SET state = 'text'",
        "UPDATE durable_runs SET round = 1",
        "UPDATE durable_runs SET round = -5",
        "UPDATE durable_runs SET round = 'x'",
        "UPDATE durable_runs SET identity = '[1'",
        "UPDATE durable_runs SET identity = '{}'",
        "UPDATE durable_runs SET secret = 'text'",
        "UPDATE durable_rounds SET record = '{' WHERE round = 1",
        "UPDATE durable_rounds SET record = replace(record, 'accuracy', 'loss') WHERE round = 1",
        "UPDATE durable_rounds SET journal = x'00' WHERE round = 1",
        "UPDATE durable_rounds SET round = 99 WHERE round = 1",
        "DELETE FROM durable_rounds WHERE round = 1",
        "DROP TABLE durable_rounds",
    ],
)
def test_a_checkpoint_altered_anywhere_is_refused(tmp_path: Path, change: str) -> None:
    """Also rounds that are gone: replay would start from evidence that is not there."""
    settings, place = MODELS["global-dp"], tmp_path / "state.db"
    killed(settings, place, 2)
    with sqlite3.connect(place) as connection:
        connection.execute(change)
    with pytest.raises(StateError, match="was damaged"):
        continued_run(StateStore(place), identity_of(settings))


def test_the_picture_of_a_payload_market_survives(tmp_path: Path) -> None:
    """The clearest round so far is kept with its scenes, to the pixel."""
    settings = MARKETS["payload"]
    plain = launch(settings, lambda _: None)
    killed(settings, tmp_path / "state.db", 11)
    keeper = continued_run(StateStore(tmp_path / "state.db"), identity_of(settings))
    run = launch(settings, lambda _: None, keeper)
    assert isinstance(plain, MarketOutcome) and isinstance(run, MarketOutcome)
    ours, theirs = run.ledger.snapshot, plain.ledger.snapshot
    assert ours is not None and theirs is not None
    assert (ours.round, ours.blamed, ours.gap) == (theirs.round, theirs.blamed, theirs.gap)
    assert ours.twin.as_array().tobytes() == theirs.twin.as_array().tobytes()
    for name, scene in theirs.scenes.items():
        assert ours.scenes[name].same_content(scene)
        assert ours.scenes[name].covers == scene.covers


def test_an_upload_of_before_the_kill_is_known_after_it(tmp_path: Path) -> None:
    """Whoever sends an old upload again is found out, though another process judged it."""
    settings, place = MODELS["dp-gd"], tmp_path / "state.db"
    killed(settings, place, 3)
    keeper = continued_run(StateStore(place), identity_of(settings))
    registry = Registry(Participant(f"partition:{n}", n, 7 + n, "clinic", 78) for n in range(7))
    judge = UploadJudge(TrainJudge("model", 10, float("inf")), moves=True)
    keeper.resume(registry, {"judge": judge})
    assert len(judge._seen) == 3 * 7
    assert judge.additions() == []


class Remembering(FedAvg):
    """A user's own strategy that carries something over."""

    rounds = 0


def test_a_strategy_that_may_remember_is_refused_unless_it_can_be_kept(tmp_path: Path) -> None:
    keeper = new_run(StateStore(tmp_path / "state.db"), identity_of(Settings()))
    registry = Registry([Participant("partition:0", 0, 1, "clinic", 5)])
    with pytest.raises(StateError, match=r"what Remembering remembers: give it state\(\)"):
        keeper.resume(registry, {"strategy": Layers(Remembering())})

    class Kept(Remembering):
        def state(self) -> dict[str, int]:
            return {"rounds": self.rounds}

        def restore(self, state: dict[str, int]) -> None:
            self.rounds = state["rounds"]

    keeper.resume(registry, {"strategy": Layers(Kept())})
