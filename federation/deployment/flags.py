"""The flags of ``keys``, ``server``, ``client``, ``submit`` and ``doctor``."""

import argparse
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from federation.flags import Parser, add_settings

Action = Callable[[argparse.Namespace], int]

_SERVER = "127.0.0.1:9092"


def _action(module: str, name: str) -> Callable[[], Action]:
    """Return what imports a command when it is called: start-up time."""

    def load() -> Action:
        found: Action = getattr(import_module(f"federation.deployment.{module}"), name)
        return found

    return load


COMMANDS: Mapping[str, tuple[str, Callable[[], Action]]] = MappingProxyType(
    {
        "keys": (
            "Make a private authority, a server certificate and a key for each client.",
            _action("keys_command", "keys"),
        ),
        "server": (
            "Run the server: encrypted, for registered clients only. Ctrl-C ends it.",
            _action("serve", "serve"),
        ),
        "client": (
            "Run a client for this machine's own data. Ctrl-C ends it.",
            _action("node", "client"),
        ),
        "submit": (
            "Send a run to a server and write its result as simulate does.",
            _action("submit", "submit"),
        ),
        "doctor": (
            "Check keys, certificates, clocks, ports, versions and data, and say what to fix.",
            _action("doctor", "doctor"),
        ),
    }
)


def add_keys_flags(parser: Parser) -> None:
    """Add the flags of ``keys``."""
    parser.add_argument("--out", default="keys", metavar="DIR", help="key folder (default keys)")
    parser.add_argument(
        "--host", action="append", default=[], metavar="NAME",
        help="name or address by which clients reach the server; repeatable, or with commas",
    )  # fmt: skip
    parser.add_argument(
        "--clients",
        metavar="N|NAMES",
        help="clients to make keys for: a number, or names with commas (default 3)",
    )
    parser.add_argument(
        "--days",
        default="365",
        metavar="N",
        help="how long the server certificate holds (default 365)",
    )
    change = parser.add_argument_group("of a key folder that exists")
    change.add_argument("--add", metavar="NAMES", help="make keys for further clients")
    change.add_argument(
        "--renew", action="store_true", help="new server key and certificate; clients keep theirs"
    )
    change.add_argument("--revoke", metavar="NAME", help="take a client off for good")


def add_server_flags(parser: Parser) -> None:
    """Add the flags of ``server``."""
    parser.add_argument(
        "--keys", default="keys/server", metavar="DIR", help="server part of the key folder"
    )
    parser.add_argument(
        "--listen", default="0.0.0.0:9092", metavar="HOST:PORT", help="where to listen; port 0: any"
    )
    _add_state(parser, "server-state")
    parser.add_argument(
        "--insecure", action="store_true", help="no encryption and no keys; on loopback only"
    )


def add_client_flags(parser: Parser) -> None:
    """Add the flags of ``client``."""
    parser.add_argument(
        "--keys", metavar="DIR", help="this client's part of the key folder: keys/clients/NAME"
    )
    parser.add_argument(
        "--server", default=_SERVER, metavar="HOST:PORT", help=f"the server (default {_SERVER})"
    )
    parser.add_argument(
        "--role", default="clinic", choices=("clinic", "device", "user"), help="default clinic"
    )
    parser.add_argument(
        "--data", metavar="PATH",
        help="this machine's own records (of shards) or frames; none: shipped public data",
    )  # fmt: skip
    parser.add_argument("--policy", metavar="FILE", help="what this client allows (TOML)")
    parser.add_argument(
        "--bundle", action="append", default=[], metavar="SHA256|own",
        help="run this code and no other; own: what this working copy builds; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--min-clinics", type=int, metavar="N",
        help="fewest clinics whose sum to be part of: refuse smaller cohorts, and runs without "
        "secure aggregation; also min-clinics of the policy",
    )  # fmt: skip
    parser.add_argument(
        "--seeded-noise", action="store_true",
        help="allow repeatable noise, for experiments: NOT private",
    )  # fmt: skip
    _add_state(parser, "client-state")
    parser.add_argument(
        "--attempts", type=int, default=0, metavar="N",
        help="give up after N failed starts in a row; 0: never (default)",
    )  # fmt: skip
    parser.add_argument("--insecure", action="store_true", help="no encryption; on loopback only")
    parser.add_argument(
        "--number", type=int, metavar="N", help="this client's place from 0, with --insecure"
    )


def add_submit_flags(parser: Parser) -> None:
    """Add the flags of ``submit``, all settings of a run among them."""
    add_settings(parser, without=("backend", "ledger"))
    group = parser.add_argument_group("where to")
    group.add_argument(
        "--server", default=_SERVER, metavar="HOST:PORT", help=f"the server (default {_SERVER})"
    )
    group.add_argument(
        "--keys",
        default="keys/submitter",
        metavar="DIR",
        help="submitter part of the key folder (default keys/submitter)",
    )
    group.add_argument("--insecure", action="store_true", help="no encryption; on loopback only")
    group.add_argument(
        "--wait",
        type=float,
        default=120.0,
        metavar="S",
        help="seconds to wait for clients (default 120)",
    )
    group.add_argument(
        "--resume", action="store_true",
        help="go on with the newest run of these very settings, if its server was killed",
    )  # fmt: skip
    group.add_argument(
        "--bundle-only", action="store_true", help="print the bundle's SHA-256 and send nothing"
    )


def add_doctor_flags(parser: Parser) -> None:
    """Add the flags of ``doctor``."""
    parser.add_argument("--keys", metavar="DIR", help="a part of the key folder")
    parser.add_argument("--server", metavar="HOST:PORT", help="a server to look at")
    parser.add_argument("--data", metavar="PATH", help="a client's data")
    parser.add_argument("--policy", metavar="FILE", help="a client's policy")
    parser.add_argument("--listen", metavar="HOST:PORT", help="where a server is to listen")


def _add_state(parser: Parser, default: str) -> None:
    parser.add_argument(
        "--state", default=default, metavar="DIR", help=f"logs and state (default {default})"
    )
