"""What all tests share: repeatable properties, a quiet Flower, and a short wait for clients."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

hypothesis_settings.register_profile("project", deadline=None, derandomize=True)
hypothesis_settings.load_profile("project")


@pytest.fixture(autouse=True)
def _quiet_flower() -> Iterator[None]:
    logger = logging.getLogger("flwr")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server give up on clients that are not there after a moment, not a minute."""
    from server import enrolment, federation

    def enrol(*args: Any, **named: Any) -> Any:
        return enrolment.enrol(*args, **{**named, "wait": 0.15})

    monkeypatch.setattr(federation, "enrol", enrol)
