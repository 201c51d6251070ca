"""A PostgreSQL of the test's own, from Debian's packages, ended by its process id."""

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep

WAIT_SECONDS = 30.0


def programs() -> Path | None:
    """Return where initdb and postgres lie, None when they are not installed."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    places += [Path(found).resolve().parent] if found else []
    return next((p for p in places if (p / "initdb").exists() and (p / "postgres").exists()), None)


def missing() -> str:
    """Return why no PostgreSQL can be started here, '' when one can."""
    if programs() is None:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    try:
        import pg8000  # noqa: F401
    except ImportError:
        return "pg8000 is not installed"
    if os.getuid() == 0 and _user() is None:
        return "PostgreSQL does not run as root and there is no user postgres"
    return ""


@contextmanager
def running() -> Iterator[str]:
    """Start a server with an empty database on loopback; yield its SQLAlchemy URL; end it."""
    where, user = programs(), _user() if os.getuid() == 0 else None
    assert where is not None
    folder = Path(mkdtemp(prefix="federation-pg-"))  # pytest's own would be closed to its user
    if user is not None:  # PostgreSQL refuses to run as root
        os.chown(folder, user.pw_uid, user.pw_gid)
    owner = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    name = user.pw_name if user else getpass.getuser()
    make = [where / "initdb", "-D", folder / "data", "-A", "trust", "-N", "-U", name]
    subprocess.run(make, check=True, capture_output=True, timeout=WAIT_SECONDS, **owner)  # type: ignore[call-overload]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = [where / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-F"]
    run += ["-c", "listen_addresses=127.0.0.1"]
    log = (folder / "log").open("wb")
    server = subprocess.Popen(run, stdout=log, stderr=log, **owner)  # type: ignore[call-overload]
    try:
        _wait_until_up(server, port)
        yield f"postgresql+pg8000://{name}@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_up(server: "subprocess.Popen[bytes]", port: int) -> None:
    end = monotonic() + WAIT_SECONDS
    while monotonic() < end:
        assert server.poll() is None, "PostgreSQL ended at once"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            sleep(0.3)
            return
        except OSError:
            sleep(0.1)
    raise AssertionError("PostgreSQL did not come up")


def _user() -> "pwd.struct_passwd | None":
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None
