"""Child processes that never outlive the command that started them.

Each child is told by the kernel to end when its parent dies (PR_SET_PDEATHSIG), grandchildren
that lose their parent become ours (PR_SET_CHILD_SUBREAPER) and are ended with the rest: found by
a mark in their environment that only this command's processes carry. Nothing is ever found by name.
"""

import contextlib
import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from federation.deployment.errors import DeploymentError
from federation.deployment.files import PRIVATE_FILE

MARK = "TRUSTED_FEDERATION_FAMILY"
GRACE = 6.0
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ON_LINUX = sys.platform.startswith("linux")


@dataclass
class Family:
    """The processes that one command starts.

    Parameters
    ----------
    logs : Path
        Directory of one log file (0600) for each child.
    """

    logs: Path
    mark: str = field(default_factory=lambda: secrets.token_hex(16))
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Become the parent of orphaned grandchildren."""
        _prctl(_SET_CHILD_SUBREAPER, 1)

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], cwd: Path
    ) -> subprocess.Popen[bytes]:
        """Start a child whose output goes to ``NAME.log``, appended."""
        path = self.logs / f"{name}.log"
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
        with os.fdopen(handle, "ab") as log:
            child = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, MARK: self.mark},
                cwd=cwd,
                start_new_session=True,  # Ctrl-C is ours to pass on, once, in order
                preexec_fn=die_with(os.getpid(), signal.SIGTERM),  # noqa: PLW1509
            )
        self.children[name] = child
        return child

    def log_of(self, name: str) -> Path:
        """Return where a child's output goes."""
        return self.logs / f"{name}.log"

    def stop(self) -> None:
        """End all children and what they started; returns when none is left."""
        for child in reversed(self.children.values()):
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    child.terminate()
        deadline = monotonic() + GRACE
        while self._alive() and monotonic() < deadline:
            sleep(0.05)
        for pid in self._alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for child in self.children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=GRACE)
        self._reap()

    def _alive(self) -> list[int]:
        self._reap()
        running = [child.pid for child in self.children.values() if child.poll() is None]
        return list(dict.fromkeys([*running, *marked(self.mark)]))

    def _reap(self) -> None:
        """Take note of the end of adopted grandchildren, not of our own children."""
        own = {child.pid for child in self.children.values()}
        for pid in _children_of(os.getpid()) - own:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def marked(mark: str) -> list[int]:
    """Return the pids of living processes that carry a family's mark."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does, so that its children end too.

    Ctrl-C too, where a script started the command in the background, which ignores it.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def free_port() -> int:
    """Return a loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on.

    Raises
    ------
    DeploymentError
        With what to do about it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as fault:
        raise DeploymentError(
            f"cannot listen on {host}:{port} ({fault.strerror or fault}): choose another --listen "
            "or stop what uses it"
        ) from fault


def die_with(parent: int, number: signal.Signals) -> Callable[[], None]:
    """Return what a child runs first, so that it gets a signal when its parent dies (Linux)."""

    def arrange() -> None:
        _prctl(_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(1)  # it died before we could ask

    return arrange


def _children_of(pid: int) -> set[int]:
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found |= {int(word) for word in path.read_text().split()}
    return found


def _prctl(option: int, value: int) -> None:
    if _ON_LINUX:
        _LIBC.prctl(option, value, 0, 0, 0)


_LIBC = ctypes.CDLL(None, use_errno=True) if _ON_LINUX else ctypes.CDLL(None)
