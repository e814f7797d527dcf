"""Connections that are used again.

A new one reads the schema and prepares every statement anew, the triggers of an answer with it: about 8 ms, inside the
writing transaction (docs/lab-notes.md).
"""

from pathlib import Path
from typing import NamedTuple

from sqlite_utils import Database

from annotator.store import db as store

MOST = 16  # kept; no fewer than there are threads


class Taken(NamedTuple):
    """A connection, and the file that it is to: another one, or less of it, may lie at its path later."""

    db: Database
    file: tuple[int, int, int] | None  # device, number, bytes


class Pool:
    """The connections to one store that nobody uses now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: list[Taken] = []

    def __del__(self) -> None:
        for taken in self._free:
            taken.db.close()

    def take(self) -> Taken:
        """A connection to the file that lies there now. Raises as `connect`."""
        there = self._there()
        while True:
            try:
                taken = self._free.pop()
            except IndexError:
                return Taken(store.connect(self._path), there)
            if there and taken.file and taken.file[:2] == there[:2] and taken.file[2] <= there[2]:
                return Taken(taken.db, there)
            taken.db.close()

    def give_back(self, taken: Taken, *, spoiled: bool) -> None:
        """For the next one, unless something went wrong with it."""
        if spoiled or taken.db.conn.in_transaction or taken.file is None or len(self._free) >= MOST:
            taken.db.close()
        else:
            self._free.append(taken)

    def _there(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size
