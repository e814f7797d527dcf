"""The progress page: what was learned so far, and what the learning process does now."""

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue

from annotator import replayed
from annotator.pages import shared, status, together
from annotator.store import db as store
from annotator.store import rounds

blueprint = Blueprint("progress", __name__)


@blueprint.get("/progress")
def page() -> ResponseReturnValue:
    found = replayed.read(shared.instance())
    db = shared.database()
    return render_template(
        "progress/index.html", progress=status.progress(db), replay=found, agreed=together.agreed(db)
    )


@blueprint.get("/api/progress")
def progress() -> ResponseReturnValue:
    return jsonify(ok=True, **status.progress(shared.database()))


@blueprint.get("/api/status")
def current_status() -> ResponseReturnValue:
    return jsonify(ok=True, status=status.status(shared.database()))


@blueprint.post("/api/learner/pause")
def pause() -> ResponseReturnValue:
    """Pause the learning process, or let it go on. Labelling is not touched."""
    paused = shared.field(shared.body(), "paused", bool)
    db = shared.database()
    with store.write(db):
        rounds.tell(db, "learner", paused=int(paused))
    return jsonify(ok=True)
