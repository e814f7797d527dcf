"""Where the project stands, in one dictionary: for the pages, `annotator status` and tests."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlite_utils import Database

from annotator.store import anchoring, labels, overview, rounds
from annotator.store import project as project_store

KILLED = "the last look for new images was killed; look again, on the Files page or with `annotator rescan`"
MIN_AUDIT = 30  # below so many audit answers an accuracy would only mislead; a smaller audit must be complete


def status(db: Database) -> dict[str, Any]:
    """See docs/api.md."""
    now = time.time()
    counts = _seldom(db, overview.counts)
    needed = min(MIN_AUDIT, counts["audit"])
    model = rounds.latest_model(db)
    return {
        "labels": counts["labeled"],
        "pool": counts["usable"] - counts["answered"],
        "images": counts["usable"],
        "problems": counts["problems"],
        "query": rounds.query_progress(db),
        "audit": {"labeled": counts["audit_labeled"], "size": counts["audit"], "needed": needed},
        "ranking": project_store.counter(db, "ranking"),
        "classes": project_store.counter(db, "classes"),
        "model": model["number"] if model else None,
        "learner": learner(db, now),
        "importing": importing(db),
        "accuracy": accuracy(model, needed),
    }


T = TypeVar("T")
_last: dict[tuple[str, Any], tuple[float, Any]] = {}  # file, what counts -> (good until, counts)
_turn = threading.Lock()


def _seldom(db: Database, count: Callable[[Database], T]) -> T:
    """Counted anew each time, unless that takes long: then by one alone, and for a twentieth of the time at most."""
    key = (db.execute("PRAGMA database_list").fetchone()[2], count)
    until, counts = _last.get(key, (0.0, None))
    if time.monotonic() < until or (until and _turn.locked()):
        found: T = counts
        return found
    with _turn:
        return _count(db, key)


def _count(db: Database, key: tuple[str, Callable[[Database], T]]) -> T:
    started = time.monotonic()
    counts = key[1](db)
    took = time.monotonic() - started
    _last[key] = (started + 20 * took if took > 0.02 else 0.0, counts)
    return counts


def learner(db: Database, now: float) -> dict[str, Any]:
    """What the learning process does now."""
    row = rounds.process(db, "learner")
    said = {key: row[key] for key in ("activity", "done", "total", "error", "restarts")}
    return said | {"paused": bool(row["paused"]), "alive": rounds.is_alive(row, now)}


def importing(db: Database) -> dict[str, Any] | None:
    """How far the import is, or None when it is complete."""
    row = rounds.process(db, "import")
    if row["activity"] == "complete":
        return None
    found = {key: row[key] for key in ("activity", "done", "total", "error")}
    return found | {"activity": "stopped", "error": KILLED} if rounds.was_killed(row) else found


def accuracy(row: dict[str, Any] | None, needed: int) -> dict[str, Any] | None:
    """A round's accuracy with its interval, once enough audit answers stand behind it."""
    if row is None or row["accuracy"] is None or (row["exam"] == "audit" and row["exam_size"] < needed):
        return None
    return {
        "value": row["accuracy"],
        "low": row["low"],
        "high": row["high"],
        "n": row["exam_size"],
        "exam": row["exam"],
    }


def progress(db: Database) -> dict[str, Any]:
    """Everything that the Progress page shows."""
    counts = labels.counts(db)
    classes = [{**row, "labels": counts.get(row["id"], 0)} for row in project_store.classes(db)]
    now = status(db)
    needed = now["audit"]["needed"]
    told = [_round(row, needed) for row in rounds.finished(db)]
    return {"status": now, "classes": classes, "rounds": told, "anchoring": _seldom(db, anchoring.agreement)}


def _round(row: dict[str, Any], needed: int) -> dict[str, Any]:
    keys = ("number", "strategy", "method", "labels", "finished", "exam", "exam_size")
    shown = accuracy(row, needed)
    seconds = {name: row[f"{name}_seconds"] for name in ("train", "predict", "select")}
    figures = {
        key: shown[name] if shown else None for key, name in (("accuracy", "value"), ("low", "low"), ("high", "high"))
    }
    note = json.loads(row["settings"] or "{}").get("note")
    return {key: row[key] for key in keys} | {"seconds": seconds, "note": note} | figures
