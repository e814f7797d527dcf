"""People, pages, labels: a Flask application, a SQLite file and a command line around the learner."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

__version__ = "0.1.0"


def create_app(
    instance: Path,
    *,
    hosts: frozenset[str] | None = None,
    token: str | None = None,
    rescan: Callable[[], None] | None = None,
) -> "Flask":
    """The web application on the project in an instance folder, which must exist.

    hosts: names by which a browser may call it besides the loopback ones; None: only those.
    token: what a browser must have shown once; None: nothing, which only fits a loopback address.
    rescan: starts a look for new images; None: nobody does, and `annotator rescan` is named.
    Raises AnnotatorError when the folder holds no project.
    """
    from flask import Flask

    from annotator import pages, paths, security
    from annotator.store import db as store
    from annotator.store import project

    database = store.connect(instance / store.FILE)
    facts = project.facts(database)
    database.close()
    app = Flask(
        __name__,
        template_folder=str(paths.folder("templates")),
        static_folder=str(paths.folder("static")),
        instance_path=str(instance.resolve()),
    )
    app.config["PROJECT"] = {"id": facts["id"], "name": facts["name"]}
    app.config["RESCAN"] = rescan
    security.init_app(app, hosts=hosts or frozenset(), token=token)
    pages.init_app(app)
    return app
