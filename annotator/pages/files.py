"""The files page: what could not be read and why, which files have the same content, and new images."""

from typing import Any

from flask import Blueprint, current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from annotator import security, uploads
from annotator.errors import AnnotatorError
from annotator.importing.rows import shown
from annotator.pages import shared, status
from annotator.pages.counting import seldom
from annotator.store import db as store
from annotator.store import images, overview, project, rounds

blueprint = Blueprint("files", __name__)


@blueprint.get("/files")
def page() -> ResponseReturnValue:
    return _page(None)


def _page(sent: dict[str, Any] | None) -> str:
    """With what became of the files that were sent, if some were."""
    db = shared.database()
    return render_template(
        "files/index.html",
        rows=images.set_aside(db),
        duplicates=seldom(db, overview.duplicates, slow=0.1),
        counts=seldom(db, overview.counts),
        notes=project.facts(db).get("import_notes", []),
        importing=status.importing(db),
        sent=sent,
        limit=security.MAX_UPLOAD_BYTES,
    )


@blueprint.post("/api/rescan")
def rescan() -> ResponseReturnValue:
    """Start a look for new images; `importing` in the status tells how far it is."""
    _start_looking()
    return jsonify(ok=True)


@blueprint.post("/files/rescan")
def rescan_form() -> ResponseReturnValue:
    _start_looking()
    return redirect(url_for("files.page"), 303)


def _start_looking() -> None:
    start, db = current_app.config["RESCAN"], shared.database()
    if start is None:
        raise AnnotatorError("this server does not read images by itself; run `annotator rescan`")
    with store.write(db):
        if rounds.process(db, "import")["activity"] == "complete":
            rounds.tell(db, "import", activity="starting", done=0, total=0, error=None)
    start()


@blueprint.post("/api/upload")
def upload() -> ResponseReturnValue:
    """Keep the files in the request's field `files`. They become images with the next look for new ones."""
    return jsonify(ok=True, **_keep())


@blueprint.post("/files/upload")
def upload_form() -> ResponseReturnValue:
    sent = _keep()
    if sent["stored"]:
        _start_looking()
    return _page(sent)


def _keep() -> dict[str, Any]:
    """{stored: names, refused: [{name, reason}]}."""
    sent = [file for file in request.files.getlist("files") if file.filename]
    if not sent:
        raise AnnotatorError("no file came with the request; choose one or more images")
    db = shared.database()
    folder = uploads.folder_in(shared.instance() / project.facts(db)["folder"])
    stored, refused = [], []
    for file in sent:
        name = str(file.filename)
        try:
            stored.append(uploads.keep(db, folder, name, file.stream))  # type: ignore[arg-type]
        except AnnotatorError as error:
            refused.append({"name": shown(name), "reason": str(error)})
    return {"stored": stored, "refused": refused}
