"""The bundle: the same for the same code, without data, whatever the working copy is called."""

import io
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from federation.deployment.bundle import build_bundle, code_of
from federation.deployment.calls import BadBundle, unpack
from federation.deployment.surroundings import ROOT


@pytest.fixture(scope="module")
def bundle() -> bytes:
    return build_bundle().content


def test_bundle_holds_code_and_no_data(bundle: bytes) -> None:
    names = zipfile.ZipFile(io.BytesIO(bundle)).namelist()
    assert {name.split("/")[0] for name in names} == {
        "clients", "datasets", "server", "strategies", "pyproject.toml", ".info",
    }  # fmt: skip
    assert all(name.endswith(".py") for name in names if "/" in name and name[0] != ".")


def test_the_same_code_under_another_name_is_the_same_bundle(bundle: bytes, tmp_path: Path) -> None:
    copy = tmp_path / "a copy with spaces, and more than thirty-two letters"
    for path in (*code_of(ROOT), ROOT / "pyproject.toml"):
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (copy / "datasets" / "patients.csv").write_text("secret\n")
    assert build_bundle(copy).sha256 == sha256(bundle).hexdigest()
    (copy / "clients" / "noise_mod.py").write_text("")
    assert build_bundle(copy).sha256 != sha256(bundle).hexdigest()


def test_unpacked_bundle_names_its_client_app(bundle: bytes, tmp_path: Path) -> None:
    folder, reference = unpack(bundle, "h" * 64, tmp_path)
    assert reference == "clients.app:app"
    assert (folder / "clients" / "app.py").read_bytes() == (ROOT / "clients/app.py").read_bytes()
    assert unpack(bundle, "h" * 64, tmp_path)[0] == folder


MANIFEST = '[tool.flwr.app.components]\nclientapp = "a:b"\n'


@pytest.mark.parametrize(
    "entries",
    [
        {"../evil.py": "x", "pyproject.toml": MANIFEST},
        {"/evil.py": "x", "pyproject.toml": MANIFEST},
        {"a\\..\\evil.py": "x", "pyproject.toml": MANIFEST},
        {"a.py": "x"},
        {"pyproject.toml": "[tool]"},
        {"pyproject.toml": "\xff["},
        {f"{n}.py": "" for n in range(2001)} | {"pyproject.toml": MANIFEST},
    ],
)
def test_a_hostile_bundle_is_refused_and_leaves_nothing(
    entries: dict[str, str], tmp_path: Path
) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    with pytest.raises(BadBundle):
        unpack(content.getvalue(), "h" * 64, tmp_path / "in")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pyproject.toml", MANIFEST)
        archive.writestr("big.py", b"\0" * (65 << 20))
    with pytest.raises(BadBundle, match="too large"):
        unpack(content.getvalue(), "h" * 64, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="not a Flower app bundle"):
        unpack(b"nothing", "h" * 64, tmp_path)
