"""The results database: what goes in comes out, and what is not ours is refused in one line."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from federation.database import opening
from federation.database.models import SCHEMA, TABLES, VERSION_TABLE, Base
from federation.database.opening import DatabaseError, open_database, shown
from federation.database.rows import DONE, FAILED, Finished, detail_rows
from federation.database.store import ResultsStore

DETAILS = (
    {
        "round": 1,
        "reputations": {"0": 0.5, "1": 0.25},
        "trusted": ["0"],
        "offers": {"0": [3, 9, 2], "1": [4, 8, None]},
        "promised": {"0": 5},
        "delivered": ["0"],
        "paid": {"0": 5},
        "ratings": {"7": [3, 1 << 62]},
    },
    {"round": 2, "offers": {"0": [3, 9, 2]}, "promised": {"0": 5}, "delivered": [], "paid": {}},
)
ENTRY = {
    "strategy": "s",
    "cell": {"z": 1.5, "epsilon": None, "attack": "mixed"},
    "seed": 1 << 40,
    "rounds": [
        {"round": 0, "accuracy": 1 / 3, "verdicts": [], "replies": 0, "odd": [1, "é"]},
        {"round": 1, "accuracy": None, "verdicts": [{"reason": "x"}], "replies": 3, "seconds": 0.1},
    ],
    "final": {"accuracy": 0.1 + 0.2, "seconds": 1e-17},
    "privacy": {
        "delta": 1e-2,
        "strict_delta": 1e-5,
        "unit": "record",
        "certified_epsilon": {"server": {"proven": 2.5, "worst": None}},
        "certified_epsilon_at_strict_delta": {"server": {"proven": 3.5, "worst": None}},
    },
    "market": {"devices": {"type1": ["0", "10"], "type2": ["1"], "type3": []}},
}


def finished(key: str = "k", status: str = DONE, **changes: Any) -> Finished:
    settings = {"dataset": "bcwd", "epsilon": 1.0}
    return Finished(
        key, "compare", status, settings, {"code": "c"}, "2026-01-01T00:00:00Z", 1.5,
        ENTRY | changes, DETAILS,
    )  # fmt: skip


def test_an_entry_comes_back_as_it_went_in_to_the_last_digit_and_in_order(tmp_path: Path) -> None:
    with ResultsStore(tmp_path / "r.db") as store:
        store.record(finished())
        found = store.finished(["k", "unknown"])
    assert found == {"k": ENTRY}
    assert [*found["k"]] == [*ENTRY]
    assert [*found["k"]["rounds"][0]] == [*ENTRY["rounds"][0]]


def test_an_entry_without_rounds_stays_without(tmp_path: Path) -> None:
    entry = {key: value for key, value in ENTRY.items() if key != "rounds"}
    with ResultsStore(tmp_path / "r.db") as store:
        store.record(Finished("k", "c", DONE, {"dataset": "x"}, {}, "", 0.0, entry))
        assert store.finished(["k"]) == {"k": entry}


def test_every_table_holds_what_the_run_did() -> None:
    rows = detail_rows(finished())
    assert {name: len(found) for name, found in rows.items()} == {
        "rounds": 2, "participants": 3, "privacy_spent": 4, "offers": 3, "awards": 2,
        "payments": 1, "ratings": 1, "reputations": 2,
    }  # fmt: skip
    assert [row["unused"] for row in rows["rounds"]] == [0, 1]
    assert [(row["participant"], row["attacker"]) for row in rows["participants"]] == [
        ("0", False), ("1", True), ("10", False),
    ]  # fmt: skip
    assert [(row["round"], row["promised"], row["delivered"]) for row in rows["awards"]] == [
        (1, 5, True), (2, 5, False),
    ]  # fmt: skip
    assert rows["ratings"][0]["complained"] == 1 << 62
    assert [row["trusted"] for row in rows["reputations"]] == [True, False]
    spent = {(row["sensitivity"], row["delta"]): row["epsilon"] for row in rows["privacy_spent"]}
    assert spent["proven", 1e-2] == 2.5
    assert spent["worst", 1e-5] is None


def test_only_finished_runs_count_and_the_first_of_a_key(tmp_path: Path) -> None:
    with ResultsStore(tmp_path / "r.db") as store:
        store.record(finished(status=FAILED, seed=0), finished(seed=1), finished(seed=2))
        assert store.finished(["k"])["k"]["seed"] == 1
        assert store.count() == 2
        assert [row["status"] for row in store.runs()] == [FAILED, DONE, DONE]
        assert store.run(3)["entry"]["seed"] == 2
        with pytest.raises(DatabaseError, match=r"no run 4 in .*, which has 3"):
            store.run(4)


def test_many_keys_take_many_queries(tmp_path: Path) -> None:
    with ResultsStore(tmp_path / "r.db") as store:
        store.record(finished("a"), finished("z"))
        assert set(store.finished([*(str(n) for n in range(1200)), "a", "z"])) == {"a", "z"}


@pytest.mark.parametrize("way", [opening.create, opening.upgrade], ids=["at once", "step by step"])
def test_the_migrations_make_exactly_the_models(way: Any, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/r.db")
    with engine.begin() as connection:
        way(connection)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == SCHEMA
    engine.dispose()
    open_database(tmp_path / "r.db").dispose()


def test_an_older_database_is_brought_to_the_newest_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if there had been a schema before the first: the migrations find the tables missing."""
    with sqlite3.connect(tmp_path / "r.db") as connection:
        connection.execute(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32))")
    connection.close()
    monkeypatch.setattr(opening, "_state_of", lambda *_: "0000")
    with ResultsStore(tmp_path / "r.db") as store:
        store.record(finished())
        assert store.count() == 1


def test_it_is_written_ahead_and_leaves_one_file(tmp_path: Path) -> None:
    with ResultsStore(tmp_path / "deep" / "r.db") as store:
        store.record(finished())
    with sqlite3.connect(tmp_path / "deep" / "r.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["r.db"]


def test_a_run_is_whole_or_not_there(tmp_path: Path) -> None:
    """The second round of the same number breaks the last table: nothing of the run stays."""
    broken = finished(rounds=[ENTRY["rounds"][0], ENTRY["rounds"][0]])
    with ResultsStore(tmp_path / "r.db") as store:
        with pytest.raises(DatabaseError, match="UNIQUE constraint failed"):
            store.record(finished("fine"), broken)
        assert store.runs() == []


def test_many_may_open_and_write_at_once(tmp_path: Path) -> None:
    def write(number: int) -> None:
        with ResultsStore(tmp_path / "r.db") as store:
            store.record(finished(str(number)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))
    with ResultsStore(tmp_path / "r.db") as store:
        assert store.count() == 24


def newer(path: Path) -> None:
    open_database(path).dispose()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")  # noqa: S608
    connection.close()


def half_written(path: Path) -> None:
    open_database(path).dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE payments")
    connection.close()


def half_made(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (id INTEGER)")
    connection.close()


def torn(path: Path) -> None:
    with ResultsStore(path) as store:
        store.record(*(finished(str(n)) for n in range(50)))
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.truncate(size // 2)


REFUSED = {
    "newer": (newer, r"made by a newer version of this program \(schema 9999, known up to 0001\)"),
    "half written": (half_written, "half-written, without payments"),
    "half made": (half_made, "has a table 'runs' that this program did not make"),
    "torn": (torn, "the file is damaged|malformed"),
    "text": (lambda path: path.write_text("a,b\n" * 400), "file is not a database"),
    "directory": (Path.mkdir, "is a directory; name a file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line_and_left_alone(
    name: str, tmp_path: Path
) -> None:
    make, reason = REFUSED[name]
    path = tmp_path / "r.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(DatabaseError, match=reason) as info:
        open_database(path)
    assert "\n" not in str(info.value)
    assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.parametrize("way", ["create", "upgrade"])
def test_one_who_is_killed_while_making_it_leaves_nothing(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(opening, way)

    def killed(connection: Any) -> None:
        real(connection)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(opening, "create", killed)
        with pytest.raises(KeyboardInterrupt):
            open_database(tmp_path / "r.db")
    with sqlite3.connect(tmp_path / "r.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    with ResultsStore(tmp_path / "r.db") as store:
        assert store.runs() == []


def test_what_shares_its_database_with_others_leaves_them_alone(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE privacy_uploads (id INTEGER)")
    connection.close()
    open_database(path).dispose()
    with sqlite3.connect(path) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert {"privacy_uploads", *TABLES} <= names


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("postgresql://me:secret@host/db?password=secret", "postgresql://..."),
        ("sqlite:///a/b.db", "a/b.db"),
        ("sqlite:////a/b.db", "/a/b.db"),
        ("a/b.db", "a/b.db"),
    ],
)
def test_a_password_is_never_shown(place: str, text: str) -> None:
    assert shown(place) == text


@pytest.mark.parametrize(
    "url",
    ["nosuch://me:secret@host/db", "postgresql+psycopg://me:secret@h/d", "://", "sqlite://me@/x"],
)
def test_a_url_that_leads_nowhere_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(DatabaseError) as info:
        open_database(url)
    assert "secret" not in str(info.value)
    assert "\n" not in str(info.value)


def test_a_large_file_is_not_read_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torn(tmp_path / "r.db")
    monkeypatch.setattr(opening, "MAX_CHECKED_BYTES", 0)
    with pytest.raises(DatabaseError, match="malformed"), ResultsStore(tmp_path / "r.db") as store:
        store.finished([str(n) for n in range(50)])
