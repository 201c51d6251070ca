"""run_federation.sh: found from anywhere, sets up once, and passes flags and exit codes through.

A copy of the script stands in a project whose ``.venv`` is made by a stand-in for Python, so
that what the script does is seen without an installation; one test runs the real thing.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "cat", "chmod", "cp", "dirname", "env", "flock", "head", "mkdir", "readlink")
TOOLS += ("rm", "sed", "sleep", "tail", "tr", "uname")
OLDER = ["python3", "python3.13", "python3.12", "python3.11", "python"]

# The Python of a finished .venv: says where it stands and what it was asked, exits as told.
VENV_PYTHON = """#!/usr/bin/env bash
[ "$1 $2" = "-m pip" ] && { printf 'pip %s\\n' "${*:3}" >>"$CALLS"; exit "${PIP_EXIT:-0}"; }
printf '%s\\n' "$PWD" "$FLWR_TELEMETRY_ENABLED" "$@"
exit "${FAKE_EXIT:-0}"
"""
# The system's Python 3.11: makes such a .venv.
SYSTEM_PYTHON = """#!/usr/bin/env bash
case "$1 $2" in
  "-c import sys"*) exit 0 ;;
  "-c import venv"*) exit "${NO_VENV:-0}" ;;
  "-m venv") mkdir -p "$3/bin" && cp "$VENV_PYTHON" "$3/bin/python" && sleep "${SLOW:-0}"
    printf 'venv\\n' >>"$CALLS" ;;
esac
"""
OLD_PYTHON = "#!/usr/bin/env bash\nexit 1\n"


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


class Sandbox:
    """A copy of the project's front door and a PATH with nothing on it but what is put there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a project (v2)"
        self.bin = folder / "bin"
        self.calls = folder / "calls"
        self.python = executable(folder / "venv-python", VENV_PYTHON)
        self.root.mkdir()
        self.bin.mkdir()
        for name in ("run_federation.sh", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.root)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def have(self, *names: str, text: str = SYSTEM_PYTHON) -> None:
        for name in names:
            executable(self.bin / name, text)

    def start(self, *words: str, script: Path | None = None, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(script or self.root / "run_federation.sh"), *words],
            cwd=env.pop("cwd", "/"),
            env={
                "PATH": str(self.bin),
                "CALLS": str(self.calls),
                "VENV_PYTHON": str(self.python),
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, script: Path | None = None, **env: str) -> tuple[int, str, str]:
        job = self.start(*words, script=script, **env)
        out, messages = job.communicate(timeout=60)
        return job.returncode, out, messages

    def log(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def fresh(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


@pytest.fixture
def ready(fresh: Sandbox) -> Sandbox:
    """A project that is set up, and whose log is empty again."""
    fresh.have("python3")
    assert fresh.run("setup")[0] == 0
    fresh.calls.unlink()
    return fresh


def test_the_first_call_sets_up_and_later_ones_do_not(fresh: Sandbox) -> None:
    fresh.have("python3")
    code, out, messages = fresh.run("simulate")
    assert code == 0
    assert out.splitlines()[2:] == ["-P", "-m", "federation.cli", "simulate"]
    assert "setting up" in messages
    first = fresh.log()
    assert first[0] == "venv"
    assert any("-e" in call and "-c" in call for call in first)
    assert fresh.run("simulate")[2] == ""
    assert fresh.log() == first


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_changed_dependencies_are_installed_into_the_environment_there_is(
    name: str, ready: Sandbox
) -> None:
    with (ready.root / name).open("a") as stream:
        stream.write("# newer\n")
    assert "updating" in ready.run("simulate")[2]
    assert "venv" not in ready.log()
    assert any("-e" in call for call in ready.log())
    assert ready.run("simulate")[2] == ""


def test_an_environment_that_is_broken_is_made_again(ready: Sandbox) -> None:
    (ready.root / ".venv" / "bin" / "python").unlink()
    (ready.root / "constraints.txt").write_text("newer==1\n")
    assert ready.run("simulate")[0] == 0
    assert "venv" in ready.log()


def test_a_moved_project_is_set_up_again(ready: Sandbox) -> None:
    """A virtual environment holds absolute paths: moved, it would run the old copy's code."""
    moved = ready.root.rename(ready.root.parent / "moved")
    code, _, _ = ready.run("simulate", script=moved / "run_federation.sh")
    assert code == 0
    assert "venv" in ready.log()


def test_flags_pass_through_unchanged(ready: Sandbox) -> None:
    words = ["--out", "a b", "", "*", "$HOME", "--data=é", "-x\ty", "--"]
    code, out, _ = ready.run(*words)
    assert code == 0
    assert out.split("\n")[2:-1] == ["-P", "-m", "federation.cli", *words]


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_exit_codes_pass_through(code: int, ready: Sandbox) -> None:
    assert ready.run("simulate", FAKE_EXIT=str(code))[0] == code
    assert ready.run("test", FAKE_EXIT=str(code))[0] == code


def test_the_command_runs_where_the_user_stands(ready: Sandbox, tmp_path: Path) -> None:
    _, out, _ = ready.run("simulate", cwd=str(tmp_path))
    assert out.splitlines()[0] == str(tmp_path)
    assert out.splitlines()[1] == "0"  # telemetry is off


@pytest.mark.parametrize("kind", ["absolute", "relative", "chain", "folder"])
def test_it_is_found_through_symbolic_links(kind: str, ready: Sandbox, tmp_path: Path) -> None:
    links = tmp_path / "other place"
    links.mkdir()
    script, link = ready.root / "run_federation.sh", links / "run"
    if kind == "absolute":
        link.symlink_to(script)
    elif kind == "relative":
        link.symlink_to(os.path.relpath(script, links))
    elif kind == "chain":
        (links / "first").symlink_to(os.path.relpath(script, links))
        link.symlink_to("first")
    else:
        (links / "project").symlink_to(ready.root)
        link = links / "project" / "run_federation.sh"
    code, out, messages = ready.run("simulate", script=link)
    assert (code, messages) == (0, "")
    assert out.splitlines()[2:] == ["-P", "-m", "federation.cli", "simulate"]


def test_test_runs_pytest_in_the_project(ready: Sandbox) -> None:
    _, out, _ = ready.run("test", "tests/clients", "-q")
    lines = out.splitlines()
    assert lines[0] == str(ready.root)
    assert lines[2:] == ["-P", "-m", "pytest", "tests/clients", "-q"]
    fast = ready.run("test", "--fast")[1].splitlines()
    assert fast[2:] == ["-P", "-m", "pytest", "-m", "not slow and not ray"]


def test_a_python_that_is_too_old_is_said_with_what_to_do(fresh: Sandbox) -> None:
    fresh.have(*OLDER, text=OLD_PYTHON)
    code, out, messages = fresh.run("simulate")
    assert (code, out) == (2, "")
    assert messages.count("\n") == 1
    assert messages.startswith("error: Python 3.11 or newer is needed and python")
    assert "PYTHON=" in messages
    assert not (fresh.root / ".venv").exists()


def test_a_newer_python_of_another_name_is_found(fresh: Sandbox) -> None:
    fresh.have("python3", "python", text=OLD_PYTHON)
    fresh.have("python3.12")
    assert fresh.run("simulate")[0] == 0


def test_the_user_can_name_a_python(fresh: Sandbox, tmp_path: Path) -> None:
    fresh.have(*OLDER, text=OLD_PYTHON)
    named = executable(tmp_path / "my python", SYSTEM_PYTHON)
    assert fresh.run("simulate", PYTHON=str(named))[0] == 0


def test_no_python_at_all_is_said(fresh: Sandbox) -> None:
    code, _, messages = fresh.run("simulate")
    assert code == 2
    assert messages.startswith("error: Python is missing; install Python 3.11")


def test_a_python_without_venv_is_said(fresh: Sandbox) -> None:
    fresh.have("python3")
    code, _, messages = fresh.run("simulate", NO_VENV="1")
    assert code == 2
    assert messages.startswith("error: the venv module of python3 is missing; install it")
    assert not (fresh.root / ".venv").exists()


def test_a_failed_installation_is_exit_1_and_is_tried_again(fresh: Sandbox) -> None:
    fresh.have("python3")
    code, out, messages = fresh.run("simulate", PIP_EXIT="1")
    assert (code, out) == (1, "")
    assert "error: set-up failed, see " in messages
    assert fresh.run("simulate")[0] == 0


def test_two_first_calls_at_once_set_up_once(fresh: Sandbox) -> None:
    fresh.have("python3")
    jobs = [fresh.start("simulate", SLOW="0.4") for _ in range(3)]
    assert [job.communicate(timeout=60) and job.returncode for job in jobs] == [0, 0, 0]
    assert fresh.log().count("venv") == 1


def is_set_up() -> bool:
    """Return whether the real script would start at once, and not install everything anew."""
    stamp = ROOT / ".venv" / ".set-up"
    parts = [f"{ROOT}\n", *((ROOT / n).read_text() for n in ("pyproject.toml", "constraints.txt"))]
    return stamp.exists() and stamp.read_text().strip() == "".join(parts).strip()


def test_the_real_one_ignores_packages_of_our_names_where_the_user_stands(tmp_path: Path) -> None:
    if not is_set_up():
        pytest.skip("the project is not set up by run_federation.sh")
    for name in ("datasets", "server", "federation"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported the wrong one')")
    link = tmp_path / "link"
    link.symlink_to(ROOT / "run_federation.sh")

    def call(*words: str) -> tuple[int, str, str]:
        run = subprocess.run(
            [str(link), *words], check=False, cwd=tmp_path, capture_output=True, text=True
        )
        return run.returncode, run.stdout, run.stderr

    words = ["simulate", "--rounds", "1", "--clients", "2", "--out", "my out", "--quiet"]
    assert call(*words) == (0, "", "")
    assert (tmp_path / "my out" / "result.json").exists()
    assert call("--epsilon", "0")[0] == 2


def test_an_unknown_extra_is_refused_before_anything_is_installed() -> None:
    done = subprocess.run(
        [ROOT / "run_federation.sh", "setup", "tensorbord"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert (
        "unknown extra 'tensorbord'; there are: parquet postgresql tensorboard mlflow wandb"
        in done.stderr
    )
