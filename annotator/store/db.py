"""Opening the file and writing to it: the two things every other file here builds on."""

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.schema import migrations
from annotator.store import copy
from annotator.store.lock import Taken, alone

FILE = "labels.db"
BACKUPS = "backups"
BUSY_SECONDS = 10  # less than a browser waits for a reply
MIGRATION_SECONDS = 60
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
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return Database(connection, execute_plugins=False)


def connect_for_reading(path: Path) -> Database:
    """Open the store for reading only; other files can be attached to it by their URI."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )
    return Database(connection, execute_plugins=False)


@contextmanager
def write(db: Database, *, durable: bool = True) -> Iterator[Database]:
    """One transaction that may write. The only way to change the store.

    durable: on the disk before it returns. Else a power cut may undo it, never without what came after it: for leases,
    which end by themselves anyway.

    BEGIN IMMEDIATE takes the write lock at once: a transaction that reads first and upgrades later fails
    under WAL whatever the busy timeout says. Keep what happens inside short. The threads of one process queue up
    for a lock of their own: SQLite lets waiting connections sleep and try again, and one of sixteen then waits for
    seconds while the others overtake it (docs/lab-notes.md: p99 of 124 ms against 740 ms).
    """
    with _TURN, nullcontext() if durable else _unsynced(db):
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            db.conn.rollback()
            raise


@contextmanager
def _unsynced(db: Database) -> Iterator[None]:
    db.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        db.execute("PRAGMA synchronous = FULL")


def one(db: Database, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> dict[str, Any] | None:
    """The only row, or None, in one statement; also of what writes with RETURNING.

    On the way of an answer: `Database.query` and `Table.insert` ask the schema and set savepoints around, and every
    statement may have to wait for the other threads.
    """
    cursor = db.execute(sql, values)
    rows = cursor.fetchall()  # to its end: SQLite commits a RETURNING only then
    return dict(zip((column[0] for column in cursor.description), rows[0], strict=True)) if rows else None


def insert(db: Database, table: str, row: Mapping[str, Any], *, once: bool = False) -> None:
    """In one statement. Raises sqlite3.IntegrityError; once: a row that is there already stays as it is."""
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    db.execute(f"INSERT {'OR IGNORE ' if once else ''}INTO {table} ({names}) VALUES ({marks})", list(row.values()))


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
    return upgrade(path)


def upgrade(path: Path) -> Database:
    """Bring an existing file up to date and open it; what it was before lies in `backups/` afterwards.

    Raises AnnotatorError when there is none, when a newer version wrote it, and when another process is at it.
    """
    db = connect(path)
    refuse_newer(db, path)
    if not migrations.pending(db):
        return db
    try:
        with alone(path.parent / "upgrade.lock", MIGRATION_SECONDS):
            pending = migrations.pending(db)  # whoever had the lock before may have done it
            if pending and migrations.applied(db):
                copy.database(path, path.parent / BACKUPS / f"before-{pending[0].name}.db")
            migrations.apply(db)
    except Taken:
        raise AnnotatorError(
            f"another process has been upgrading {path} for a minute; end it, then try again"
        ) from None
    return db


def refuse_newer(db: Database, path: Path) -> None:
    """AnnotatorError for a schema that only a later version of this program knows."""
    known = {migration.name for migration in migrations.pending(Database(memory=True))}
    newer = {migration.name for migration in migrations.applied(db)} - known
    if newer:
        raise AnnotatorError(f"{path} was written by a newer version of annotator ({min(newer)}); upgrade annotator")


def explain(error: Exception) -> str:
    """What a failure of the disk or of the file means, and the way out, in one line."""
    said = str(error)
    number = getattr(error, "errno", None)
    if "disk is full" in said or number in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({said}); free some space, it goes on by itself"
    if "readonly" in said or number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"the project's folder cannot be written ({said}); mount its disk writable, or give yourself the right"
    if "locked" in said or "busy" in said:
        return f"another program keeps the labels locked ({said}); close it"
    if "malformed" in said or "not a database" in said:
        return f"{FILE} is damaged ({said}); stop the server and run `annotator doctor`"
    return f"the project's folder cannot be used right now ({said}); `annotator doctor` says more"


def utc_now() -> str:
    """The time as stored everywhere: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
