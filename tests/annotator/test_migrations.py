"""Stores of every earlier version become today's, with a copy of what they were, and lose nothing."""

import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.schema import migrations
from annotator.store import db as store
from annotator.store import lock

STORES = Path(__file__).parent / "stores"
NAMES = [migration.name for migration in migrations.pending(Database(memory=True))]


def old_store(folder: Path, name: str) -> Path:
    """The file of labels of an earlier version."""
    folder.mkdir()
    path = folder / store.FILE
    with closing(sqlite3.connect(path)) as db:
        db.executescript((STORES / f"{name}.sql").read_text(encoding="utf-8"))
    return path


def contents(path: Path) -> dict[str, list[dict]]:
    """Every row of every table, read without our code."""
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: [dict(row) for row in db.execute(f'SELECT * FROM "{table}"')]
            for table in tables
            if not table.startswith(("_", "sqlite_"))
        }


def shape(path: Path) -> list[tuple]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()


def test_every_version_but_todays_has_a_store():
    assert {path.stem for path in STORES.glob("*.sql")} >= set(NAMES[:-1])


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_store_of_an_earlier_version_keeps_every_row_and_becomes_like_a_new_one(name, tmp_path):
    path = old_store(tmp_path / "old", name)
    before = contents(path)
    store.upgrade(path).close()
    after = contents(path)
    for table, rows in before.items():
        kept = [{key: row[key] for key in rows[0]} for row in after[table]] if rows else []
        assert kept == rows
    store.prepare(tmp_path / "new" / store.FILE).close()
    assert shape(path) == shape(tmp_path / "new" / store.FILE)


@pytest.mark.parametrize("name", NAMES[:-1])
def test_what_counts_is_the_same_after_an_upgrade(name, tmp_path):
    path = old_store(tmp_path / "old", name)
    counts = "SELECT image_id, class_id, status FROM current ORDER BY image_id"
    with closing(sqlite3.connect(path)) as db:
        before = db.execute(counts).fetchall()
    store.upgrade(path).close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(counts).fetchall() == before != []


def test_what_it_was_before_lies_in_backups(tmp_path):
    path = old_store(tmp_path / "old", NAMES[0])
    before = contents(path)
    store.upgrade(path).close()
    (backup,) = (tmp_path / "old" / "backups").iterdir()
    assert backup.name == f"before-{NAMES[1]}.db"
    assert contents(backup) == before


def test_a_new_store_and_one_that_is_up_to_date_need_no_backup(tmp_path):
    for _ in range(2):
        store.prepare(tmp_path / store.FILE).close()
    assert not (tmp_path / "backups").exists()


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path, monkeypatch):
    def fail(db):
        db.execute("CREATE TABLE half (x)")
        raise sqlite3.OperationalError("database or disk is full")

    path = old_store(tmp_path / "old", NAMES[0])
    before = contents(path)
    pending = migrations.pending(store.connect(path))
    monkeypatch.setattr(pending[0], "fn", fail)
    with pytest.raises(sqlite3.OperationalError):
        store.upgrade(path)
    assert contents(path) == before


def _upgrade(path: Path) -> None:
    store.upgrade(path).close()


def test_processes_that_start_together_upgrade_once(tmp_path):
    path = old_store(tmp_path / "old", NAMES[0])
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_upgrade, args=(path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert [row.name for row in migrations.applied(store.connect(path))] == NAMES


def test_an_upgrade_elsewhere_that_never_ends_is_named(tmp_path, monkeypatch):
    path = old_store(tmp_path / "old", NAMES[0])
    monkeypatch.setattr(store, "MIGRATION_SECONDS", 0.1)
    with (
        lock.alone(tmp_path / "old" / "upgrade.lock"),
        pytest.raises(AnnotatorError, match="another process has been upgrading"),
    ):
        store.upgrade(path)
