"""The classes page: what can be answered, and everything that changes it. Each change is previewed first."""

import sqlite3
from contextlib import suppress
from typing import Any

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue
from sqlite_utils import Database

from annotator import predictions
from annotator.pages import shared
from annotator.pages.label import offered
from annotator.store import classes, rounds
from annotator.store import db as store
from annotator.store.project import CLASS_KEYS, class_meanings

blueprint = Blueprint("classes", __name__)


@blueprint.get("/classes")
def page() -> ResponseReturnValue:
    return render_template("classes/index.html", boot=_everything(shared.database()))


@blueprint.get("/api/classes")
def current() -> ResponseReturnValue:
    """For the label page, when the status says that the classes are others."""
    return jsonify(ok=True, **offered(shared.database()))


@blueprint.get("/api/classes/all")
def everything() -> ResponseReturnValue:
    return jsonify(ok=True, **_everything(shared.database()))


@blueprint.post("/api/classes/preview")
def preview() -> ResponseReturnValue:
    """What a change would do; nothing happens."""
    plan = classes.plan(shared.database(), _change(shared.body()))
    return jsonify(ok=True, says=plan.says, images=plan.images)


@blueprint.post("/api/classes/change")
def change() -> ResponseReturnValue:
    wanted, db = _change(shared.body()), shared.database()
    plan = classes.plan(db, wanted)
    with store.write(db):
        plan = classes.do(db, wanted, plan, shared.person_id())
    _prepare(db)
    return jsonify(ok=True, says=plan.says, images=plan.images, **_everything(db))


def _prepare(db: Database) -> None:
    """Whoever changed the classes waits for what Review needs of it, and nobody after."""
    model = rounds.latest_model(db)
    path = shared.instance() / model["folder"] / predictions.FILE if model else None
    if path is not None and path.exists():
        with suppress(OSError, sqlite3.OperationalError):  # Review makes it in memory, or a newer round is there
            predictions.of_now(path, class_meanings(db))


def _change(values: dict[str, Any]) -> classes.Change:
    """The change in a request; AnnotatorError for anything that is not one."""
    texts = {name: shared.field(values, name, str, optional=True, limit=5000)
             for name in ("name", "key", "colour", "guidance")}  # fmt: skip
    return classes.Change(
        action=shared.field(values, "action", str, limit=100),
        class_id=shared.field(values, "class", int, optional=True) or 0,
        into=shared.field(values, "into", int, optional=True) or 0,
        place=shared.field(values, "place", int, optional=True) or 0,
        **texts,
    )


def _everything(db: Database) -> dict[str, Any]:
    keys = ("id", "name", "key", "colour", "guidance", "retired", "merged_into", "into_name", "labels")
    rows = [{key: row[key] for key in keys} for row in classes.everything(db)]
    used = {row["key"] for row in rows if row["retired"] is None and row["merged_into"] is None}
    free = [key for key in CLASS_KEYS if key not in used]
    return {"rows": rows, "free_keys": free, "changes": [_told(row) for row in classes.changes(db)]}


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """One line of the history: when, who, what."""
    return {"created": row["created"], "person": row["person"] or "command line", "text": _sentence(row)}


def _sentence(row: dict[str, Any]) -> str:
    name, before, after, other = row["class"], row["before"], row["after"], row["other"]
    match row["what"]:
        case "added":
            return f"{after!r} added"
        case "name":
            return f"{before!r} renamed to {after!r}"
        case "merged_into":
            return f"{name!r} merged into {other!r}" if after else f"{name!r} taken out of {other!r} again"
        case "retired":
            return f"{name!r} retired" if after else f"{name!r} brought back"
        case "position":
            return f"{name!r} moved to place {after}"
        case column:
            return f"{column} of {name!r}: {before or 'none'} became {after or 'none'}"
