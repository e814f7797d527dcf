"""A lock between processes that ends with its holder, however it ends: an SQLite file that holds nothing else."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


class Taken(Exception):
    """Somebody else has it."""


@contextmanager
def alone(path: Path, wait: float = 0) -> Iterator[None]:
    """Hold the lock at `path`. Raises Taken when somebody else still has it after `wait` seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=wait, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise Taken(str(error)) from None
        yield
