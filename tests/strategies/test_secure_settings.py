"""What secure aggregation does not go together with, and the reason that is given."""

from typing import Any

import pytest

from strategies.presets import compose
from strategies.secure_settings import terms_of
from strategies.settings import SettingsError


@pytest.mark.parametrize(
    ("strategy", "changes", "reason"),
    [
        ("krum", {"secure_aggregation": "on"}, "compares or transforms single uploads"),
        ("fedmedian", {"secure_aggregation": "on"}, "compares or transforms single uploads"),
        ("fedavg", {"secure_aggregation": "on", "aggregation": "fedadam"}, "single uploads"),
        ("global-dp", {"secure_aggregation": "on"}, "no longer sees"),
        ("dp-gd", {"secure_aggregation": "on"}, "use shared-noise"),
        ("certified", {"secure_aggregation": "on"}, "use shared-noise"),
        ("dp-sgd", {"secure_aggregation": "on"}, "use shared-noise"),
        ("shared-noise", {"noise": "discrete"}, "always discrete"),
        ("shared-noise", {"steps": 5}, "--unit clinic"),
        ("shared-noise", {"batch_size": 5}, "full batch"),
        ("shared-noise", {"clients": 2}, "3 are the least"),
        ("shared-noise", {"threshold": 10}, "must lie in 11..20"),
        ("shared-noise", {"colluders": 19}, "lower --colluders"),
        ("shared-noise", {"dropouts": 7}, "lower --dropouts"),
        ("shared-noise", {"colluders": 14, "dropouts": 3}, "lower --dropouts"),
        ("shared-noise", {"neighbours": 20}, "0 for all"),
        ("shared-noise", {"modulus_bits": 63}, "at most 62"),
        ("dp-gd", {"unit": "clinic"}, "needs --privacy shared-noise"),
        ("dp-gd", {"colluders": 3}, "read by secure aggregation only"),
        ("fedavg", {"modulus_bits": 32}, "read by secure aggregation only"),
        ("shared-noise", {"attack": "sign-flip"}, "leave out --attack"),
        ("shared-noise", {"selection": "reputation"}, "judges clinics by their single uploads"),
        ("shared-noise", {"uploads": 3}, "own uploads"),
    ],
)
def test_contradictions_are_refused_with_the_reason(
    strategy: str, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        compose(strategy, changes)


@pytest.mark.parametrize("strategy", ["shared-noise"])
def test_the_preset_is_secure_by_itself(strategy: str) -> None:
    settings = compose(strategy, {})
    assert settings.secure
    assert terms_of(settings, settings.clients).least_survivors == 14
    assert compose(strategy, {"unit": "clinic"}).steps == 10


def test_without_noise_it_is_asked_for() -> None:
    assert not compose("fedavg", {}).secure
    assert compose("fedavg", {"secure_aggregation": "on"}).secure
