"""Where the project stands, in one dictionary: for the pages, `annotator status` and tests."""

import json
import time
from typing import Any

from sqlite_utils import Database

from annotator.pages.counting import seldom, up_to_date
from annotator.store import anchoring, labels, overview, rounds
from annotator.store import project as project_store
from annotator.store.anchoring import Suggestions

KILLED = "the last look for new images was killed; look again, on the Files page or with `annotator rescan`"
MIN_AUDIT = 30  # below so many audit answers an accuracy would only mislead; a smaller audit must be complete


def status(db: Database) -> dict[str, Any]:
    """See docs/api.md."""
    now = time.time()
    counts = seldom(db, overview.counts)
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
    with up_to_date(db, Suggestions) as found:
        anchored = anchoring.agreement(found)
    return {"status": now, "classes": classes, "rounds": told, "anchoring": anchored}


def _round(row: dict[str, Any], needed: int) -> dict[str, Any]:
    keys = ("number", "strategy", "method", "labels", "finished", "exam", "exam_size")
    shown = accuracy(row, needed)
    seconds = {name: row[f"{name}_seconds"] for name in ("train", "predict", "select")}
    figures = {
        key: shown[name] if shown else None for key, name in (("accuracy", "value"), ("low", "low"), ("high", "high"))
    }
    note = json.loads(row["settings"] or "{}").get("note")
    return {key: row[key] for key in keys} | {"seconds": seconds, "note": note} | figures
