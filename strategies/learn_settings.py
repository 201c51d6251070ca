"""The settings of CARRADA's learning task: object classes from radar descriptors."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datasets.carrada.objects import CLASSES
from strategies.setting_fields import SettingsError, setting

if TYPE_CHECKING:
    from strategies.settings import Settings

GROUP = "carrada learning"
TASKS = ("twin", "learn")
LEARNT = CLASSES[1:]
"""Classes of the task, by label from 1."""
NOT_OF_LEARNING = ("schema", "missing")
"""Settings of a table's file: CARRADA has no such file."""
_UNITS = {"split": ("record", "track", "sequence"), "unit": ("record", "track", "clinic")}
_OF_RECORDINGS = {"split": ("track", "sequence"), "unit": ("track",), "partition": ("sequence",)}


@dataclass(frozen=True)
class LearnFields:
    """Settings that say what ``--dataset carrada`` is about."""

    task: str = setting(
        "twin",
        GROUP,
        "twin: a market of devices and users; learn: a model of object classes, by any --privacy",
        choices=TASKS,
    )
    descriptors: str = setting(
        "all",
        GROUP,
        "what of an object is learnt from: all that the root has, or boxes without intensity",
        choices=("all", "boxes"),
    )


def check_learning(settings: "Settings") -> None:
    """Hold the units of a model's data against the data set.

    Raises
    ------
    SettingsError
        With one line: what, why, what to do.
    """
    if settings.is_learning:
        for name, known in _UNITS.items():
            if (value := getattr(settings, name)) not in known:
                raise SettingsError(
                    f"--{name} {value} is of --dataset bcwd: objects have no patients, they are "
                    f"cut by {' or '.join(known)}"
                )
        return
    for name, values in _OF_RECORDINGS.items():
        if (value := getattr(settings, name)) in values:
            raise SettingsError(
                f"--{name} {value} is of --dataset carrada --task learn: {settings.dataset} has "
                "no recordings, choose another"
            )
