"""Rounds, the loop's state, and what the learning process and the import are doing."""

import functools
import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from annotator.store.db import utc_now

STALE_SECONDS = 15.0  # a process whose heartbeat stands still for so long is gone


def load_state(db: Database) -> dict[str, Any] | None:
    """The loop's state as JSON, or None before the first round."""
    row = db.execute("SELECT value FROM loop_state").fetchone()
    return json.loads(row[0]) if row else None


def save_state(db: Database, state: dict[str, Any]) -> None:
    """Call inside `write`."""
    db.execute("INSERT OR REPLACE INTO loop_state (id, value) VALUES (1, ?)", [json.dumps(state)])


def query_progress(db: Database) -> dict[str, int]:
    """{round, answered, size} of the open query; images that were set aside count as answered."""
    sql = """SELECT json_extract(value, '$.round') AS round, json_array_length(value, '$.query.ids') AS size,
        (SELECT count(*) FROM json_each(loop_state.value, '$.query.ids') AS q
         WHERE EXISTS (SELECT 1 FROM answers WHERE image_id = q.value)
            OR EXISTS (SELECT 1 FROM images WHERE id = q.value AND aside IS NOT NULL)) AS answered FROM loop_state"""
    return next(db.query(sql), {"round": 0, "answered": 0, "size": 0})


def start(db: Database, number: int, labels: int) -> None:
    """A round begins, or begins again after it was given up. Call inside `write`."""
    row = {"number": number, "labels": labels, "started": utc_now()}
    db.table("rounds").insert(row, pk="number", replace=True)


def update(db: Database, number: int, **values: Any) -> None:
    """Call inside `write`."""
    db.table("rounds").update(number, values)


def give_up(db: Database, number: int, reason: str) -> None:
    """Why a round is not finished; gone when it starts again. Call inside `write`."""
    db.execute("UPDATE rounds SET error = ? WHERE number = ? AND finished IS NULL", [reason, number])


def finished(db: Database) -> list[dict[str, Any]]:
    """Finished rounds, oldest first."""
    return list(db.query("SELECT * FROM rounds WHERE finished IS NOT NULL ORDER BY number"))


def latest_model(db: Database) -> dict[str, Any] | None:
    """The newest round that left a model and predictions."""
    return next(db.query("SELECT * FROM rounds WHERE folder IS NOT NULL ORDER BY number DESC LIMIT 1"), None)


def folders(db: Database) -> set[str]:
    """Of the models and predictions that some round has."""
    return {folder for (folder,) in db.execute("SELECT folder FROM rounds WHERE folder IS NOT NULL").fetchall()}


def process(db: Database, name: str) -> dict[str, Any]:
    """The row of a process: learner or import."""
    return next(db.query("SELECT * FROM processes WHERE name = ?", [name]))


def tell(db: Database, name: str, **values: Any) -> None:
    """Set columns of a process's row. Call inside `write`."""
    db.table("processes").update(name, values)


class Lease:
    """The right to be the only process of a name, for as long as its owner lives.

    The clock on the wall decides nothing: a jump of hours neither robs an owner that lives nor locks everybody else
    out. An owner is gone when its process is gone from this machine, or when its heartbeat stood still for
    STALE_SECONDS while somebody watched: it hangs, or ran on another machine, or its process id was given again.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self._clock = name, clock
        self.owner = this_process()
        self._seen: tuple[str, float] | None = None  # another's heartbeat, and since when it is the same
        self._since = 0.0

    def take(self, db: Database, now: float) -> bool:
        """Become the owner, or give a sign of life as the owner; False: another has it. Call inside `write`."""
        row = process(db, self.name)
        if self._is_anothers(row) and not _is_gone(row["owner"]) and not self._stands_still(row):
            return False
        tell(db, self.name, owner=self.owner, heartbeat=now)
        return True

    def is_lost(self, db: Database) -> bool:
        """Another took it: whoever hung for too long finds out before it writes."""
        return self._is_anothers(process(db, self.name))

    def _is_anothers(self, row: dict[str, Any]) -> bool:
        return row["owner"] not in (None, self.owner)

    def _stands_still(self, row: dict[str, Any]) -> bool:
        seen = (row["owner"], row["heartbeat"])
        if seen != self._seen:
            self._seen, self._since = seen, self._clock()
        return self._clock() - self._since >= STALE_SECONDS


def is_alive(row: dict[str, Any], now: float) -> bool:
    """Was the process of this row seen lately? For people to see; who may be the owner is for Lease to say."""
    return row["owner"] is not None and not _is_gone(row["owner"]) and abs(now - row["heartbeat"]) < STALE_SECONDS


def this_process() -> str:
    """As an owner: on which machine, its id there, and something that no other has."""
    return f"{_here()}/{os.getpid()}/{uuid.uuid4().hex}"


def was_killed(row: dict[str, Any]) -> bool:
    """Is the process of this row gone without having said so?"""
    return row["owner"] is not None and _is_gone(row["owner"])


@functools.cache
def _here() -> str:
    """Where a process id means the same process: this machine since its start, and not inside another container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _is_gone(owner: str) -> bool:
    """Was its process here, and is there none of that id any more? False where that cannot be known."""
    here, _, process_id = owner.rpartition("/")[0].rpartition("/")
    if here != _here():
        return False
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's process
    return False
