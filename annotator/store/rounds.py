"""Rounds, the loop's state, and what the learning process and the import are doing."""

import json
from typing import Any

from sqlite_utils import Database

from annotator.store.db import utc_now

STALE_SECONDS = 15.0  # a process that has not been seen for so long is gone


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


def finished(db: Database) -> list[dict[str, Any]]:
    """Finished rounds, oldest first."""
    return list(db.query("SELECT * FROM rounds WHERE finished IS NOT NULL ORDER BY number"))


def latest_model(db: Database) -> dict[str, Any] | None:
    """The newest round that left a model and predictions."""
    return next(db.query("SELECT * FROM rounds WHERE folder IS NOT NULL ORDER BY number DESC LIMIT 1"), None)


def process(db: Database, name: str) -> dict[str, Any]:
    """The row of a process: learner or import."""
    return next(db.query("SELECT * FROM processes WHERE name = ?", [name]))


def tell(db: Database, name: str, **values: Any) -> None:
    """Set columns of a process's row. Call inside `write`."""
    db.table("processes").update(name, values)


def take_lease(db: Database, name: str, owner: str, now: float) -> bool:
    """Become the only process of this name, if no other was seen lately. Call inside `write`."""
    sql = """UPDATE processes SET owner = :owner, heartbeat = :now
        WHERE name = :name
            AND (owner IS NULL OR owner = :owner OR heartbeat < :now - :stale OR heartbeat > :now + :stale)"""
    values = {"owner": owner, "now": now, "name": name, "stale": STALE_SECONDS}
    return db.execute(sql, values).rowcount == 1


def drop_lease(db: Database, name: str, owner: str | None = None) -> None:
    """Leave, or declare a process gone whose end was seen. Call inside `write`."""
    db.execute(
        "UPDATE processes SET owner = NULL, heartbeat = NULL WHERE name = ? AND (? IS NULL OR owner = ?)",
        [name, owner, owner],
    )


def is_alive(row: dict[str, Any], now: float) -> bool:
    """Was the process of this row seen lately?"""
    return row["owner"] is not None and abs(now - row["heartbeat"]) < STALE_SECONDS
