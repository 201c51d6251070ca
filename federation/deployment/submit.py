"""``submit``: send a run to a server, show its progress, and write what ``simulate`` writes."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import httpx

from federation.backends.inprocess import run_config
from federation.commands import (
    Interrupted,
    keep_rounds,
    out_from,
    print_result,
)
from federation.console import round_bar
from federation.deployment.bundle import Bundle, build_bundle
from federation.deployment.control import Control
from federation.deployment.errors import DeploymentError
from federation.deployment.key_folder import CA_FILE, read_token
from federation.deployment.processes import ended_by_signals
from federation.deployment.results import write_market, write_model
from federation.deployment.surroundings import address_from, is_loopback, joined
from federation.flags import one_line, settings_from
from federation.market_console import market_bar
from federation.outputs import now, repeat_command
from federation.recording import check_database, record_run
from server.errors import RunFailed
from server.frames import RESULT, FrameError, FrameReader, round_from_value
from server.loop import RoundRecord
from strategies.setting_fields import LONGEST_WAIT
from strategies.settings import Settings

T = TypeVar("T")

RECONNECT_SECONDS, RECONNECTS = 2.0, 15


def submit(options: argparse.Namespace) -> int:
    """Send a run, follow it to its end, write and print its result."""
    bundle = build_bundle()
    if options.bundle_only:
        print(bundle.sha256)
        return 0
    settings = deployable(settings_from(options))
    if not 0 <= options.wait <= LONGEST_WAIT:  # also what is not a number: it would never be over
        raise DeploymentError(f"--wait must be 0 to {LONGEST_WAIT:g} seconds, got {options.wait}")
    out = out_from(options, settings.strategy)
    check_database(options, out)
    control = connect(options)
    started = now()
    quiet = options.quiet or options.json
    tell: Callable[[str], None] = (lambda _: None) if quiet else _tell
    records: list[RoundRecord] = []
    run_id = 0
    try:
        with ended_by_signals():
            wait_for_clients(control, settings.nodes, options.wait, tell)
            run_id = _start(control, bundle, settings, resume=options.resume)
            tell(f"run {run_id} with bundle {bundle.sha256}")
            bar = market_bar if settings.is_market else round_bar
            with bar(settings, quiet) as show:
                value = follow(control, run_id, _noted(records, show), tell)
    except KeyboardInterrupt:
        if run_id:
            _stop(control, run_id)
        raise Interrupted(f"interrupted {keep_rounds(out, settings, records)}") from None
    except RunFailed as stop:
        if any(record.round for record in records):
            raise RunFailed(f"{stop}; {keep_rounds(out, settings, records)}") from None
        raise
    finally:
        control.close()
    return finish(options, out, value, started)


def deployable(settings: Settings) -> Settings:
    """Return the settings as they travel.

    Raises
    ------
    DeploymentError
        When they name what every machine has to name itself.
    """
    if settings.ledger:
        raise DeploymentError(
            "--ledger is each client's own (client --state DIR keeps it): leave it out; a "
            "database of the server is named by FEDERATION_DATABASE in the server's environment"
        )
    if settings.backend != "inprocess":
        raise DeploymentError("--backend is for simulate: submit runs on the clients there are")
    return settings


def connect(options: argparse.Namespace) -> Control:
    """Return a connection to the server that flags name.

    Raises
    ------
    DeploymentError
        When keys or token are missing.
    """
    host, port = address_from(options.server, "--server")
    address = joined(host, port)
    if options.insecure:
        if not is_loopback(host):
            raise DeploymentError(f"--insecure is for loopback only, not for {host}")
        return Control(address, None)
    keys = Path(options.keys)
    if not (keys / CA_FILE).is_file():
        raise DeploymentError(
            f"{keys} holds no {CA_FILE}: name the server or submitter folder that keys made"
        )
    return Control(address, keys / CA_FILE, read_token(keys))


def wait_for_clients(
    control: Control, wanted: int, wait: float, tell: Callable[[str], None]
) -> None:
    """Return when enough clients are connected.

    Raises
    ------
    RunFailed
        When they are not within ``wait`` seconds, with how many are missing.
    """
    until, said = monotonic() + wait, False
    while True:
        nodes = asked(control.nodes)
        online = sum(status == "online" for _, status in nodes.values())
        if online >= wanted:
            return
        if monotonic() >= until:
            raise RunFailed(
                f"{online} of {wanted} clients are connected after {wait:g} s ({len(nodes)} are "
                "registered): start the others, or lower --clients"
            )
        if not said:
            tell(f"waiting for clients: {online} of {wanted} are connected")
            said = True
        sleep(0.5)


def follow(
    control: Control,
    run_id: int,
    on_round: Callable[[RoundRecord], None],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Follow a run to its end and return its result; a cut connection is taken up again.

    Raises
    ------
    RunFailed
        When the run failed, with Flower's or the server app's own words.
    """
    results: list[dict[str, Any]] = []

    def on_frame(kind: str, value: dict[str, Any]) -> None:
        if kind == RESULT:
            results.append(value)
        else:
            on_round(round_from_value(value))

    reader = FrameReader(on_frame, lambda line: tell(line) if "WARNING" in line else None)
    after, cuts = 0.0, 0
    while True:
        try:
            for text, latest in control.logs(run_id, after):
                reader.feed(text)
                after = max(after, latest)
            status = control.status(run_id)
            if status.finished:
                break
        except httpx.TransportError as fault:
            cuts += 1
            if cuts > RECONNECTS:
                raise RunFailed(f"the server does not answer any more ({fault})") from fault
            sleep(RECONNECT_SECONDS)
        except FrameError as fault:
            raise RunFailed(str(fault)) from fault
    if not status.completed:
        raise RunFailed(status.details.removeprefix("ServerApp failed with exception: "))
    if not results:
        raise RunFailed("the run ended without a result; the server's log says why")
    return results[-1]


def asked(question: Callable[[], T]) -> T:
    """Return a server's answer.

    Raises
    ------
    RunFailed, DeploymentError
        With one line: nobody there, another authority, or no right to send runs.
    """
    try:
        return question()
    except httpx.HTTPStatusError as fault:
        try:
            why = str(fault.response.json().get("detail", ""))
        except ValueError:
            why = ""
        raise DeploymentError(
            f"the server refused: {why or fault.response.status_code}; use --keys of this server"
        ) from fault
    except httpx.TransportError as fault:
        raise DeploymentError(explained(fault)) from fault


def explained(fault: Exception) -> str:
    """Return what a failed connection means and what to do, in one line."""
    text = str(fault)
    if "certificate has expired" in text:
        return "the server's certificate has expired: ./run_federation.sh keys --renew"
    if "Hostname mismatch" in text or "IP address mismatch" in text:
        return (
            "the server's certificate is for other names: use one of them in --server, or "
            "./run_federation.sh keys --renew --host NAME"
        )
    if "certificate verify failed" in text or "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            "the server's certificate is not from the authority in --keys: another server, an "
            f"attack, or the wrong folder ({text.split('(', maxsplit=1)[0].strip()})"
        )
    return f"no server answers there ({text}); is it running, and is --server its address?"


def _start(control: Control, bundle: Bundle, settings: Settings, *, resume: bool) -> int:
    config = run_config(settings) | {"resume": resume}
    return asked(lambda: control.start_run(bundle.content, bundle.sha256, config))


def _stop(control: Control, run_id: int) -> None:
    try:
        control.stop_run(run_id)
    except httpx.HTTPError as fault:
        _tell(f"the run could not be stopped ({fault}); it may still go on")


def _noted(
    records: list[RoundRecord], show: Callable[[RoundRecord], None]
) -> Callable[[RoundRecord], None]:
    def note(record: RoundRecord) -> None:
        known = {old.round for old in records}
        if record.round not in known:  # a log that is read again says it again
            records.append(record)
            show(record)

    return note


def finish(options: argparse.Namespace, out: Path, value: dict[str, Any], started: str) -> int:
    """Write a run's result as it came, record it in the results database, and print it."""
    write = write_market if value.get("kind") == "market" else write_model
    written = write(out, value, repeat_command("submit", options))
    result, paths = written.result, written.paths
    paths["database"] = record_run(
        options, out, written.settings, result["runs"][0], written.details, started, "submit"
    )
    print_result(options, result, partial(written.show, result, paths))
    return 0


def _tell(line: str) -> None:
    print(one_line(line), file=sys.stderr)
