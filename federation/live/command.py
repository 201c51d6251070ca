"""``live DIR``: a finished run on the page it would have shown, until Ctrl-C."""

import argparse
from contextlib import suppress
from pathlib import Path
from threading import Event

from federation.live.playback import playback
from federation.live.server import LiveServer
from federation.live.view import port_from, tell


def play(options: argparse.Namespace) -> int:
    """Serve the page of what is in ``options.directory``; Ctrl-C ends it, which is no failure."""
    port = port_from(options)
    source = playback(Path(options.directory))
    server = LiveServer(source, port).start()
    try:
        taken = f" (port {port} is taken)" if port not in (0, server.port) else ""
        tell(f"live view: {server.address}{taken}")
        tell("Ctrl-C ends it")
        Event().wait()
    except KeyboardInterrupt:
        return 0
    finally:
        with suppress(KeyboardInterrupt):  # timeout(1) and impatient people send it twice
            server.close(0.0)
    return 0
