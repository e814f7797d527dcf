"""Opening the file and writing to it: the two things every other file here builds on."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.schema import migrations

FILE = "labels.db"
BUSY_SECONDS = 30
_TURN = threading.RLock()


def connect(path: Path) -> Database:
    """Open the store for reading and writing; every commit is on disk before it returns.

    One connection belongs to one thread at a time. Raises AnnotatorError when there is no such file.
    """
    if not path.exists():
        raise AnnotatorError(
            f"no project at {path.parent}; start one with `annotator demo` or `annotator serve FOLDER`"
        )
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return Database(connection, execute_plugins=False)


@contextmanager
def write(db: Database) -> Iterator[Database]:
    """One transaction that may write. The only way to change the store.

    BEGIN IMMEDIATE takes the write lock at once: a transaction that reads first and upgrades later fails
    under WAL whatever the busy timeout says. Keep what happens inside short. The threads of one process queue up
    for a lock of their own: SQLite lets waiting connections sleep and try again, and one of sixteen then waits for
    seconds while the others overtake it (docs/lab-notes.md: p99 of 124 ms against 740 ms).
    """
    with _TURN:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            db.conn.rollback()
            raise


@contextmanager
def snapshot(db: Database) -> Iterator[Database]:
    """Several reads that see the same moment."""
    db.execute("BEGIN")
    try:
        yield db
    finally:
        db.conn.rollback()


def prepare(path: Path) -> Database:
    """Create the file if it is new, bring it up to date, and open it.

    Raises AnnotatorError for a file written by a newer version.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    db = connect(path)
    known = {migration.name for migration in migrations.pending(Database(memory=True))}
    newer = {migration.name for migration in migrations.applied(db)} - known
    if newer:
        raise AnnotatorError(f"{path} was written by a newer version of annotator ({min(newer)}); upgrade annotator")
    migrations.apply(db)
    return db


def utc_now() -> str:
    """The time as stored everywhere: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
