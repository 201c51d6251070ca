"""The systemd units and the compose file call commands and flags that there are."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.cli import _PARSERS
from tests.docs.pages import ROOT

DEPLOY = ROOT / "docs" / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def parsed(words: list[str]) -> Any:
    """Return the options of a command line; an unknown command or flag raises."""
    parser, _ = _PARSERS[words[0]]("1")
    return parser.parse_args(words[1:])


def unit_of(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(path.read_text())
    return unit


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_unit_starts_what_there_is_and_keeps_it_private(path: Path) -> None:
    service = unit_of(path)["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert program == "/opt/federation/run_federation.sh"
    options = parsed(words)
    assert options.state.startswith("/var/lib/federation/")
    assert not options.insecure
    assert service["UMask"] == "0077"
    assert service["KillSignal"] == "SIGINT"
    assert service["User"] != "root"
    assert service["StateDirectory"] == "federation"


def test_client_unit_pins_its_code_and_names_its_policy() -> None:
    service = unit_of(DEPLOY / "federation-client.service")["Service"]
    options = parsed(shlex.split(service["ExecStart"])[1:])
    assert options.bundle == ["own"]
    assert options.policy
    assert Path(options.data).parent == Path(service["ReadOnlyPaths"])


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_knows_every_directive(path: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    text = path.read_text().replace("/opt/federation/run_federation.sh", "/bin/true")
    (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / path.name)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Unknown" not in done.stderr
    assert "Failed to parse" not in done.stderr


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_compose_service_calls_what_there_is_from_what_it_mounts(name: str) -> None:
    service = COMPOSE["services"][name]
    options = parsed(service["command"])
    mounts = {volume.split(":")[1]: volume.split(":")[0] for volume in service["volumes"]}
    assert options.keys in mounts
    assert options.state in mounts
    assert mounts[options.state] in COMPOSE["volumes"]
    expected = "./keys/server" if name == "server" else f"./keys/clients/{name}"
    assert mounts[options.keys] == expected
    assert (ROOT / "docs/deploy" / service["build"]["dockerfile"]).name == "Dockerfile"
    if name != "server":
        assert options.server.partition(":")[0] in COMPOSE["services"]
        assert str(Path(options.data).parent) in mounts


def test_image_takes_code_only() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = {word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]}
    assert {"clients", "datasets", "federation", "server", "strategies"} <= copied
    assert all((ROOT / name).exists() for name in copied)
    assert not {"keys", ".", "tests", "runs"} & copied
