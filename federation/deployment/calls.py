"""Calls of a bundle's ClientApp: unpacked once, a warm worker a run, a bound on each call."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

from flwr.app import Context, Message

from federation.deployment import worker
from federation.deployment.files import PRIVATE_FILE, private_directory
from federation.deployment.processes import die_with

LOADING_SECONDS = 120.0
"""For starting Python and importing the app, which is no answer yet."""
MAX_UNPACKED, MAX_FILES = 64 << 20, 2000


_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, LookupError, TypeError, ValueError, AttributeError, EOFError,
    RuntimeError, OSError,
)  # fmt: skip
"""What somebody's archive may raise; NotImplementedError and RecursionError are RuntimeErrors."""


class BadBundle(ValueError):
    """A bundle that cannot be unpacked or names no ClientApp."""


class CallFailed(RuntimeError):
    """What became of a call that has no answer; the message goes to the server."""


def unpack(content: bytes, sha256: str, folder: Path) -> tuple[Path, str]:
    """Unpack a bundle whose hash was checked; return its folder and its ClientApp's reference.

    Raises
    ------
    BadBundle
        When a path leads outside, it is too large, or no Flower app.
    """
    target = folder / sha256
    fresh = folder / f".{sha256}.{os.getpid()}"
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_FILES or sum(e.file_size for e in entries) > MAX_UNPACKED:
                raise BadBundle("the bundle is too large")
            for entry in entries:
                path = PurePosixPath(entry.filename)
                if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
                    raise BadBundle("the bundle has a path that leads outside")
            manifest = tomllib.loads(archive.read("pyproject.toml").decode())
            reference = manifest["tool"]["flwr"]["app"]["components"]["clientapp"]
            if not target.exists():
                private_directory(fresh)
                archive.extractall(fresh)
                fresh.rename(target)
    except _UNREADABLE as fault:
        if isinstance(fault, BadBundle):
            raise
        raise BadBundle(f"not a Flower app bundle ({type(fault).__name__})") from fault
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target, str(reference)


class Worker:
    """A process that runs one bundle's ClientApp for one run.

    Parameters
    ----------
    folder : Path
        The unpacked bundle.
    reference : str
        ``module:name`` of its ClientApp.
    log : Path
        What the app prints.
    environment : mapping
        Of the process.
    """

    def __init__(
        self, folder: Path, reference: str, log: Path, environment: Mapping[str, str]
    ) -> None:
        handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
        with os.fdopen(handle, "ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own file, no shell
                [sys.executable, "-P", str(Path(worker.__file__)), str(folder), reference],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=dict(environment),
                cwd=folder,
                preexec_fn=die_with(os.getpid(), signal.SIGKILL),  # noqa: PLW1509
            )
        self._loaded = False

    @property
    def alive(self) -> bool:
        """Return whether the process still runs."""
        return self._process.poll() is None

    def call(
        self, message: Message, context: Context, task_id: int, seconds: float
    ) -> tuple[Message, Context]:
        """Return the app's reply and its context afterwards.

        Raises
        ------
        CallFailed
            When it raised, died, or took longer than ``seconds``: then it is ended.
        """
        if not self._loaded:
            with self._bounded(LOADING_SECONDS) as (source, _):
                worker.read_ready(source)
            self._loaded = True
        with self._bounded(seconds) as (source, sink):
            sink.write(worker.TASK.pack(task_id, context.run_id, context.node_id))
            worker.write_call(sink, message, context)
            return worker.read_call(source)

    @contextmanager
    def _bounded(self, seconds: float) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """Hand out the pipes, and end the process when what is done there takes too long."""
        source, sink = self._process.stdout, self._process.stdin
        if source is None or sink is None:
            raise CallFailed("the client's code does not run")
        late = threading.Event()

        def end_it() -> None:  # from another thread: the pipes are being read
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, end_it)
        timer.daemon = True
        timer.start()
        try:
            yield source, sink
        except (EOFError, OSError) as fault:
            self.end()
            why = "the client's code ended without an answer"
            if late.is_set():
                why = f"no answer within the {seconds:g} s this client allows"
            raise CallFailed(why) from fault
        except RuntimeError as fault:
            raise CallFailed(str(fault)) from fault
        finally:
            timer.cancel()

    def end(self) -> None:
        """End the process at once."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue
        self._process.wait()
