"""What every page needs: the request's connection, the person, the menu, and errors in one shape."""

import sqlite3
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from flask import Flask, current_app, g, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlite_utils import Database
from werkzeug.exceptions import HTTPException

from annotator.errors import AnnotatorError, OtherPerson, OtherProject
from annotator.pages.counting import seldom
from annotator.store import browse, project
from annotator.store import db as store
from annotator.store.pool import Pool, Taken

CODES: dict[type[Exception], str] = {  # for programs
    CSRFError: "stale-token", OtherProject: "other-project", OtherPerson: "other-person"
}  # fmt: skip


def instance() -> Path:
    return Path(current_app.instance_path)


def database() -> Database:
    """The connection of this request, which nobody else uses until it is answered."""
    if "store" not in g:
        pool: Pool = current_app.extensions["store"]
        g.store = pool.take()
    taken: Taken = g.store
    return taken.db


def person_id() -> int:
    """Who is asking. Call inside `write`: a new person is added."""
    return current_user.id or project.person_id(database(), current_user.name)


def image_url(image_id: int, sha256: str) -> str:
    """Names the content too: a browser caches it for ever, and another project may use the same address."""
    return url_for("image.show", image_id=image_id, v=sha256[:16])


def body() -> dict[str, Any]:
    """The JSON object of the request, or a clear 400."""
    try:
        value = request.get_json(silent=True)
    except RecursionError:  # nested deeper than anything of ours
        value = None
    if not isinstance(value, dict):
        raise AnnotatorError("the request needs a JSON object as its body")
    return value


def field(values: dict[str, Any], name: str, kind: type, *, optional: bool = False, limit: int = 2**53) -> Any:
    """One field of a request; AnnotatorError names it when it is missing, of another type, or too large."""
    value = values.get(name)
    if value is None and optional:
        return None
    if kind is float and type(value) is int and abs(value) <= limit:
        value = float(value)
    if type(value) is not kind:
        raise AnnotatorError(f"{name!r} must be of type {kind.__name__}, not {value!r:.40}")
    if isinstance(value, str) and not value.isprintable():
        raise AnnotatorError(f"{name!r} holds characters that do not print")
    size: float = len(value) if isinstance(value, str | list | dict) else abs(cast(float, value))
    if not size <= limit:  # not >: NaN is refused too
        raise AnnotatorError(f"{name!r} is larger than {limit}")
    return value


def ids(values: dict[str, Any], name: str, limit: int = 5000) -> list[int]:
    """A list of ids in a request; absent means empty."""
    found = field(values, name, list, optional=True, limit=limit) or []
    return [field({name: item}, name, int) for item in found]


def init_app(app: Flask, menu: list[tuple[str, str]]) -> None:
    """Menu and project for every template; one connection per request; errors in one shape."""

    app.extensions["store"] = Pool(Path(app.instance_path) / store.FILE)

    @app.context_processor
    def for_templates() -> dict[str, Any]:
        if not current_user.is_authenticated:
            return {"project": {}, "me": None, "pages": []}  # strangers do not learn the project's name
        pages = [(endpoint, url_for(endpoint), title) for endpoint, title in menu if current_user.may(endpoint)]
        return {"project": app.config["PROJECT"], "me": current_user, "pages": pages, "conflicts": _conflicts()}

    @app.teardown_appcontext
    def close(error: BaseException | None) -> None:
        if "store" in g:
            app.extensions["store"].give_back(g.pop("store"), spoiled=error is not None or "spoiled" in g)

    app.register_error_handler(AnnotatorError, lambda error: _answer(error.status, str(error), CODES.get(type(error))))
    app.register_error_handler(sqlite3.Error, _store_failed)
    app.register_error_handler(OSError, _store_failed)
    app.register_error_handler(HTTPException, _http_failed)


def _conflicts() -> int:
    """For those who decide them; 0 where the store cannot be asked, which the page says already."""
    try:
        return seldom(database(), browse.conflicts) if current_user.may("review.page") else 0
    except (sqlite3.Error, AnnotatorError):
        return 0


def _http_failed(error: HTTPException) -> ResponseReturnValue:
    is_api = request.path.startswith("/api/")
    if error.code == HTTPStatus.FORBIDDEN and not is_api:  # another name or site: nothing of ours is shown
        return f"{error.description}\n", error.code, {"Content-Type": "text/plain; charset=utf-8"}
    return _answer(error.code or 500, error.description or error.name, CODES.get(type(error)))


def _store_failed(error: Exception) -> ResponseReturnValue:
    """A full or broken disk, a lock that was never released: the browser keeps the answer and tries again."""
    g.spoiled = True
    current_app.logger.error("the store failed: %s", error)
    return _answer(503, store.explain(error))


def _answer(status: int, text: str, code: str | None = None) -> ResponseReturnValue:
    """An error in the shape that the asker understands; strangers do not learn the project's name."""
    if request.path.startswith("/api/"):
        return jsonify({"ok": False, "error": text} | ({"code": code} if code else {})), status
    if status == HTTPStatus.UNAUTHORIZED:
        return render_template("account/login.html", said=text), status
    return render_template("error.html", title=HTTPStatus(status).phrase, message=text), status


def now() -> float:
    """Seconds since 1970, as leases count."""
    return time.time()
