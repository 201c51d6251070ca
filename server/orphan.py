"""A server app ends with the SuperLink that started it, instead of asking a dead one for ever.

Flower's own app process goes on for minutes; a server that was killed must leave nothing behind.
"""

import os
from logging import ERROR
from threading import Thread
from time import sleep

from flwr.common.logger import log

LOOK_SECONDS = 1.0


def end_with_parent(look: float = LOOK_SECONDS) -> None:
    """End this process, at once and whatever it does, when its parent process is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            sleep(look)
        log(ERROR, "the SuperLink is gone: this run ends; go on with submit --resume")
        os._exit(1)

    Thread(target=watch, name="end-with-parent", daemon=True).start()
