"""The label page: claims images, takes answers, undoes them. The page people live in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Blueprint, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import generate_csrf
from sqlite_utils import Database

from annotator import predictions, settings
from annotator.errors import AnnotatorError, NotYours
from annotator.pages import items, shared
from annotator.pages.status import importing, status
from annotator.store import db as store
from annotator.store import examples, labels, overlap, overview, queue, rounds
from annotator.store import project as project_store

blueprint = Blueprint("label", __name__)
MAX_CLAIM = 20


@blueprint.get("/")
def page() -> ResponseReturnValue:
    db = shared.database()
    with store.write(db):
        person = shared.person_id()
    boot = {
        "project": current_app.config["PROJECT"],
        "person": current_user.name,
        **offered(db),
        "history": _history(person),
    }
    return render_template("label/index.html", boot=boot, classes=boot["classes"])


def offered(db: Database) -> dict[str, Any]:
    """The classes as they are offered, their version as in the status, and the names that old answers need."""
    version = project_store.counter(db, "classes")  # before the classes: at worst a page asks once too often
    return {"version": version, "classes": project_store.classes(db), "names": project_store.class_titles(db)}


@blueprint.get("/api/csrf")
def csrf() -> ResponseReturnValue:
    """A fresh token: one that expired in a sleeping tab must not keep an answer from arriving."""
    return jsonify(ok=True, csrf=generate_csrf())


@blueprint.post("/api/next")
def next_images() -> ResponseReturnValue:
    """Lease images to a tab."""
    values, db = shared.body(), shared.database()
    tab, count = _tab(values), shared.field(values, "count", int, limit=MAX_CLAIM)
    folder = shared.instance() / project_store.facts(db)["folder"]
    if not folder.is_dir():
        return jsonify(
            ok=True, items=[], waiting=f"The folder {folder} is not there. Connect its drive; it goes on here."
        )
    with store.write(db, durable=False):
        asking = settings.asking(db)
        have, looks = shared.ids(values, "have"), asking.second_look_share
        slots = queue.claim(db, tab, shared.person_id(), count, shared.now(), have, looks)
    return jsonify(ok=True, items=items.of(slots, asking.suggestion_share), waiting=None if slots else _why_nothing())


def _why_nothing() -> str:
    """Why there is nothing to label, and what to do."""
    db = shared.database()
    counts = overview.counts(db)
    if reading := importing(db):
        return reading["error"] or "The images are still being read. The first one appears here by itself."
    if not counts["usable"]:
        aside = f"{counts['problems']} files set aside, see Files"
        return f"No image could be read ({aside}). Add images to the folder and start again."
    if waiting := overlap.waiting(db):
        images = "1 image waits" if waiting == 1 else f"{waiting} images wait"
        return f"There is nothing left for you now: {images} for somebody else's opinion."
    if counts["answered"] < counts["usable"]:
        return "Every image without an answer is on another screen. It comes back here when that one is closed."
    return (
        f"All {counts['usable']} images have an answer. See Progress, or take the labels away with `annotator export`."
    )


@blueprint.get("/api/examples")
def class_examples() -> ResponseReturnValue:
    """Images that show what a class is, the surest first."""
    db, class_id = shared.database(), request.args.get("class", -1, type=int)
    model = rounds.latest_model(db)
    known = examples.candidates(db, class_id)
    path = shared.instance() / model["folder"] / predictions.FILE if model else Path()
    said = predictions.read(path, [row["image_id"] for row in known], project_store.class_meanings(db)) if model else {}
    sure = {image: each.probs.get(class_id, 0.0) for image, each in said.items()}
    best = examples.best(known, sure)
    shown = [{"image": row["image_id"], "url": shared.image_url(row["image_id"], row["sha256"])} for row in best]
    return jsonify(ok=True, examples=shown)


@blueprint.post("/api/label")
def label() -> ResponseReturnValue:
    """Store one answer. The reply is sent after the commit: what was acknowledged is on disk."""
    values, db = shared.body(), shared.database()
    tab, said = _tab(values), _answer(values)
    with store.write(db):
        said = replace(said, person_id=shared.person_id())
        is_new = labels.add(db, said, tab, shared.now())
    return jsonify(ok=True, duplicate=not is_new)


def _answer(values: dict[str, Any]) -> labels.Answer:
    """The answer in a request, of nobody yet; AnnotatorError for anything that is not one."""
    kind = shared.field(values, "kind", str)
    if kind not in labels.KINDS:
        raise AnnotatorError(f"unknown kind {kind!r:.40}; choose from {', '.join(labels.KINDS)}")
    via = shared.field(values, "via", str, optional=True) or "typed"
    if via not in ("typed", "accepted"):
        raise AnnotatorError(f"unknown via {via!r:.40}; choose from typed, accepted")
    return labels.Answer(
        uuid=shared.field(values, "uuid", str, limit=64),
        image_id=shared.field(values, "image", int),
        kind=kind,
        person_id=0,
        class_id=shared.field(values, "class", int, optional=kind != "label") if kind == "label" else None,
        undoes=shared.field(values, "undoes", str, limit=64) if kind == "undo" else None,
        via=via,
        seconds=shared.field(values, "seconds", float, optional=True, limit=10**9),
        model=shared.field(values, "model", int, optional=True),
        suggested_id=shared.field(values, "suggested", int, optional=True),
        suggestion_shown=bool(shared.field(values, "shown", bool, optional=True)),
        source="review" if _is_reviewed(values) else None,
    )


def _is_reviewed(values: dict[str, Any]) -> bool:
    """Is it a reviewer's word, which wins? Raises NotYours for one who is none."""
    asked = bool(shared.field(values, "review", bool, optional=True))
    if asked and not current_user.may("review.page"):
        raise NotYours(f"your role is {current_user.role}; only reviewers and administrators correct what others said")
    return asked


@blueprint.post("/api/release")
def release() -> ResponseReturnValue:
    """A tab gives back what it holds."""
    values, db = shared.body(), shared.database()
    held = None if values.get("images") is None else shared.ids(values, "images")
    with store.write(db, durable=False):
        queue.release(db, _tab(values), held)
    return jsonify(ok=True)


@blueprint.post("/api/heartbeat")
def heartbeat() -> ResponseReturnValue:
    """A tab is still there."""
    values, db = shared.body(), shared.database()
    with store.write(db, durable=False):
        queue.renew(db, _tab(values), shared.ids(values, "images"), shared.now())
    return jsonify(ok=True, status=status(db))


@blueprint.get("/api/history")
def history() -> ResponseReturnValue:
    with store.write(shared.database()):
        person = shared.person_id()
    return jsonify(ok=True, history=_history(person))


def _history(person: int) -> list[dict[str, Any]]:
    return [
        {
            "uuid": row["uuid"], "image": row["image_id"], "kind": row["kind"], "class": row["class_id"],
            "url": shared.image_url(row["image_id"], row["sha256"]),
        }
        for row in labels.history(shared.database(), person)
    ]  # fmt: skip


def _tab(values: dict[str, Any]) -> str:
    tab: str = shared.field(values, "tab", str, limit=64)
    return tab
