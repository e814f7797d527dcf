"""What takes long to count is not counted for every request."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from sqlite_utils import Database

from annotator.store import tally

T = TypeVar("T")
Sums = TypeVar("Sums", bound=tally.Tally)
SLOW = 0.02  # seconds of the processor; what is quicker is counted anew each time, however busy the machine is
SHARE = 20  # at most a twentieth of the time goes into counting one thing


class _Kept(NamedTuple):
    until: float  # of the clock that never goes back
    found: Any


_kept: dict[tuple[str, Any], _Kept] = {}  # file, what counts -> what it found
_turn = threading.Lock()
_sums: dict[tuple[str, type], Any] = {}  # file, kind -> the tally
_sums_turn = threading.Lock()


def seldom(db: Database, count: Callable[[Database], T], *, slow: float = SLOW) -> T:
    """What `count` finds: now, or not long ago where counting takes more than `slow` seconds of the processor.

    One thread counts and the others take what was found before.
    """
    key = (_file(db), count)
    kept = _kept.get(key)
    if kept and (time.monotonic() < kept.until or (kept.until and _turn.locked())):
        found: T = kept.found
        return found
    with _turn:
        started, before = time.monotonic(), time.thread_time()
        found = count(db)
        took = time.thread_time() - before
    _kept[key] = _Kept(started + SHARE * took if took > slow else 0.0, found)
    return found


@contextmanager
def up_to_date(db: Database, kind: type[Sums]) -> Iterator[Sums]:
    """What all labels say now, for one thread at a time: what is new is added to what was known before."""
    key = (_file(db), kind)
    with _sums_turn:
        found = tally.count(kind, db, _sums.pop(key, None))
        yield found
        _sums[key] = found


def _file(db: Database) -> str:
    return str(db.execute("PRAGMA database_list").fetchone()[2])
