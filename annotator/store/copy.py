"""Copying the store and other files so that the copy is whole or not there."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4


def database(source: Path, target: Path) -> None:
    """A consistent copy of an SQLite file, also while others write to it. Replaces `target`."""
    with whole(target) as part, closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(part)) as new:
        old.backup(new)  # in one step: under WAL writers need not wait, and no page is copied twice
        new.execute("PRAGMA journal_mode = DELETE")  # one file, that nothing has to be read beside


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A path to write to. Afterwards it is on the disk and becomes `target`; after an error it is gone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{uuid4().hex}.part")  # two threads may write the same file
    try:
        yield part
        sync(part)
        part.replace(target)
        sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """The file, or the names in the folder, are on the disk when it returns."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
