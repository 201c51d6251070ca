"""Experiment trackers that people already use, told of every round: ``--track NAME,...``.

Each is an optional extra, imported only when it is asked for (``./run_federation.sh setup
tensorboard`` installs it). All of them write below ``--out`` and none needs a network;
``MLFLOW_TRACKING_URI`` sends MLflow's copy elsewhere.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from logging import WARNING
from math import isfinite
from pathlib import Path
from typing import Protocol

from flwr.common.logger import log

from federation.flags import UsageError
from server.errors import RunFailed
from server.loop import RoundRecord
from strategies.settings import Settings, nearest


class Tracker(Protocol):
    """One experiment tracker of one run."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Take the figures of one round."""

    def close(self, failed: bool) -> None:
        """End the run; a failed one must not look done."""


class TensorBoard:
    """Event files for ``tensorboard --logdir DIR``, in ``out/tensorboard``."""

    needs = "tensorboardX"

    def __init__(self, settings: Settings, out: Path) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(out / "tensorboard"))
        listed = "\n".join(f"    {key} = {value}" for key, value in settings.shown().items())
        self._writer.add_text("settings", listed)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Write one scalar a figure."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self, failed: bool) -> None:
        """Write what is left, and how it ended."""
        self._writer.add_text("status", "failed" if failed else "finished")
        self._writer.close()


class MLflow:
    """A run in MLflow: ``MLFLOW_TRACKING_URI`` when set, else SQLite in ``out/mlflow.db``."""

    needs = "mlflow"

    def __init__(self, settings: Settings, out: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        from mlflow import MlflowClient

        own = f"sqlite:///{(out / 'mlflow.db').absolute()}"
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", own))
        found = self._client.get_experiment_by_name(PROJECT)
        experiment = (
            found.experiment_id
            if found
            else self._client.create_experiment(PROJECT, str((out / "mlflow").absolute()))
        )
        name = f"{settings.strategy} seed {settings.seed}"
        self._run = self._client.create_run(experiment, run_name=name).info.run_id
        for key, value in settings.shown().items():
            self._client.log_param(self._run, key, value)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Write all figures of a round in one call."""
        from time import time

        from mlflow.entities import Metric

        now = int(1000 * time())
        batch = [Metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=batch)

    def close(self, failed: bool) -> None:
        """End the run as MLflow calls it."""
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")


class WandbOffline:
    """A Weights & Biases run that stays on this machine, in ``out/wandb``; ``wandb sync`` it."""

    needs = "wandb"

    def __init__(self, settings: Settings, out: Path) -> None:
        os.environ["WANDB_MODE"] = "offline"
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        self._run = wandb.init(
            project=PROJECT,
            name=f"{settings.strategy}-seed-{settings.seed}",
            config=settings.shown(),
            dir=str(out),
            mode="offline",
            settings=wandb.Settings(silent=True, x_disable_stats=True, disable_git=True),
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Write all figures of a round in one call."""
        self._run.log(dict(values), step=step)

    def close(self, failed: bool) -> None:
        """End the run with the exit code that W&B shows."""
        self._run.finish(exit_code=int(failed))


PROJECT = "trusted-federation"
TRACKERS: Mapping[str, type[TensorBoard] | type[MLflow] | type[WandbOffline]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb-offline": WandbOffline,
}


def trackers_from(text: str | None) -> tuple[str, ...]:
    """Return the trackers that ``--track a,b`` names, each installed.

    Raises
    ------
    UsageError
        For an unknown name (with the nearest), a name twice, or an extra that is not installed.
    """
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in TRACKERS:
            raise UsageError(f"--track: unknown tracker {name!r}{nearest(name, set(TRACKERS))}")
        if find_spec(TRACKERS[name].needs) is None:
            extra = name.removesuffix("-offline")
            raise UsageError(
                f"--track {name}: {extra} is not installed; run ./run_federation.sh setup {extra}"
            )
    if len(set(names)) != len(names):
        raise UsageError(f"--track {text}: name each tracker once")
    return names


@contextmanager
def tracked(
    names: Sequence[str], settings: Settings, out: Path
) -> Iterator[Callable[[RoundRecord], None]]:
    """Open the named trackers for one run and yield what to call after each round.

    Parameters
    ----------
    names : sequence of str
        From :func:`trackers_from`.
    settings : Settings
        Of the run; they are logged once.
    out : Path
        Directory that the trackers write below; made when needed.
    """
    if not names:
        yield lambda _: None
        return
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        opened = {name: stack.enter_context(_open(name, settings, out)) for name in names}

        def tell(record: RoundRecord) -> None:
            values = figures_of(record)
            for name, tracker in list(opened.items()):
                try:
                    tracker.log(values, record.round)
                except Exception as fault:  # noqa: BLE001 - a tracker's trouble is not the run's
                    del opened[name]
                    log(WARNING, "--track %s stopped: %s", name, fault)

        yield tell


def figures_of(record: RoundRecord) -> dict[str, float]:
    """Return the figures of a round that a tracker can draw: finite numbers by name."""
    values = {"replies": float(len(record.sizes)), "unused_replies": float(len(record.verdicts))}
    for name, value in record.metrics.items():
        if isinstance(value, int | float) and isfinite(value):
            values[name] = float(value)
    return values


@contextmanager
def _open(name: str, settings: Settings, out: Path) -> Iterator[Tracker]:
    try:
        tracker: Tracker = TRACKERS[name](settings, out)
    except Exception as fault:
        why = " ".join(f"{type(fault).__name__}: {fault}".split())[:200]
        raise RunFailed(f"--track {name} cannot start: {why}") from fault
    failed = True
    try:
        yield tracker
        failed = False
    finally:
        try:
            tracker.close(failed)
        except Exception as fault:  # noqa: BLE001
            log(WARNING, "--track %s did not end well: %s", name, fault)
