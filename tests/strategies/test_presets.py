"""Named compositions: what each sets, what wins over what, and what a Flower run config means."""

import pytest

from federation.backends.inprocess import run_config
from strategies.presets import CALIBRATIONS, STRATEGIES, compose, from_run_config
from strategies.settings import Settings, SettingsError

NOISELESS = {"fedavg", "krum", "multikrum", "fedmedian", "centralised"}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("preset", [None, *CALIBRATIONS])
def test_every_strategy_composes_with_every_preset(strategy: str, preset: str | None) -> None:
    settings = compose(strategy, {}, preset)
    assert settings.strategy == strategy
    assert settings.private == (strategy not in NOISELESS)
    for name, value in CALIBRATIONS.get(preset or "", {}).items():
        assert getattr(settings, name) == value


def test_the_default_settings_are_the_main_job() -> None:
    main = compose("global-dp", {}, "paper-std")
    assert main == compose("global-dp", {}) == Settings()
    assert (main.clients, main.epsilon, main.rounds, main.exposures) == (20, 30.0, 100, 1)
    assert (main.delta, main.learning_rate, main.steps, main.clip_norm) == (0.01, 0.001, 5, 0.5)


def test_paper_variance_is_the_second_row_of_the_reproduction_table() -> None:
    preset = compose("global-dp", {}, "paper-variance")
    assert (preset.rounds, preset.exposures, preset.learning_rate) == (10, 10, 0.01)
    assert (preset.delta, preset.reading) == (1e-5, "variance")


def test_what_the_user_names_wins_over_strategy_and_preset() -> None:
    settings = compose("fedavg", {"privacy": "global-dp", "delta": 0.5}, "paper-variance")
    assert (settings.strategy, settings.privacy, settings.delta) == ("fedavg", "global-dp", 0.5)
    assert settings.rounds == 10


@pytest.mark.parametrize(("rounds", "exposures"), [(4, 4), (10, 10), (50, 10)])
def test_fewer_rounds_lower_exposures_that_nobody_named(rounds: int, exposures: int) -> None:
    settings = compose("global-dp", {"rounds": rounds}, "paper-variance")
    assert settings.exposures == exposures


def test_named_exposures_are_never_lowered() -> None:
    with pytest.raises(SettingsError, match="exposures 10 is more than rounds 4"):
        compose("global-dp", {"rounds": 4, "exposures": 10})


@pytest.mark.parametrize("rounds", ["ten", None, 2.5])
def test_rounds_of_another_type_are_the_mistake_that_is_named(rounds: object) -> None:
    with pytest.raises(SettingsError, match=r"^--rounds must be a whole number"):
        compose("global-dp", {"rounds": rounds})


def test_centralised_is_one_clinic_whatever_the_others_are() -> None:
    settings = compose("centralised", {"clients": 10, "partition": "sizes", "sizes": "1," * 10})
    assert (settings.clients, settings.partition, settings.sizes) == (1, "iid", "")


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="unknown strategy 'fed-avg'; did you mean 'fedavg'"):
        compose("fed-avg", {})
    with pytest.raises(SettingsError, match="unknown preset 'paper_std'; did you mean 'paper-std'"):
        compose("global-dp", {}, "paper_std")
    with pytest.raises(SettingsError, match="unknown strategy '123'; use one of centralised, "):
        compose("123", {})


def test_flower_run_config_composes_what_differs_from_the_defaults() -> None:
    shipped = run_config(Settings())
    shipped.pop("composed", None)
    everything = {**shipped, "out": "", "preset": "", "strategy": "fedavg", "rounds": 7}
    assert from_run_config(everything) == compose("fedavg", {"rounds": 7})
    preset = {**shipped, "preset": "paper-variance"}
    assert from_run_config(preset) == compose("global-dp", {}, "paper-variance")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_our_own_run_config_is_taken_as_it_is(strategy: str) -> None:
    settings = compose(strategy, {"seed": 3, "rounds": 5}, "paper-variance")
    assert from_run_config(run_config(settings)) == settings


def test_an_unknown_run_config_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="unknown setting 'epsilo'"):
        from_run_config({"epsilo": 3.0})
