"""The files page: what could not be read and why, and which files have the same content."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from annotator.pages import shared
from annotator.store import images, overview, project

blueprint = Blueprint("files", __name__)


@blueprint.get("/files")
def page() -> ResponseReturnValue:
    db = shared.database()
    return render_template(
        "files/index.html",
        rows=images.set_aside(db),
        duplicates=overview.duplicates(db),
        counts=overview.counts(db),
        notes=project.facts(db).get("import_notes", []),
    )
