"""The review page: find images by what is said of them, look at one closely, correct it. Its state is its address."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Blueprint, current_app, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.pages import shared
from annotator.store import browse, rounds
from annotator.store import project as project_store
from annotator.store.browse import PAGE, Filter, Key
from learner.features import cache

blueprint = Blueprint("review", __name__)
SORTS = {"newest": "newest answer first", "wrong": "most likely wrong first", "name": "file name"}
STATES = {"label": "labeled", "flag": "flagged", "skip": "skipped"}  # where the word differs
_LARGEST = 2**53
_LONGEST = 200  # characters of a name that are looked for


@blueprint.get("/review")
def page() -> ResponseReturnValue:
    wanted, sort, like = _filter(), _choice("sort", SORTS) or "newest", _number("like", int, _LARGEST)
    work = _choice("work", ("1",)) and _address()  # conflicts come up one after the other
    looked_for = replace(wanted, settled=bool(work))
    with browse.reading(shared.instance()) as db:
        rows, earlier, later = _page(db, looked_for, sort) if like is None else (_alike(db, like), None, None)
        if rows is None:
            return redirect(_address())
        shown = _shown(db, rows)
    shown["boot"] |= {"work": work, "more": bool(later or earlier)}
    shown |= {"links": {"earlier": earlier, "later": later, "first": _address()}, "like": like}
    shown |= {"wanted": wanted, "filtered": replace(wanted, status="") != Filter(), "sort": sort, "sorts": SORTS}
    return render_template("review/index.html", **shown)


def _shown(db: Database, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The images, what a filter may ask for, and what the page has to know from the start."""
    classes, model = project_store.classes(db), rounds.latest_model(db)
    boot = {"project": current_app.config["PROJECT"], "person": current_user.name, "classes": classes}
    boot |= {"model": model["number"] if model else None, "alike": bool(_embeddings())}
    boot |= {"names": project_store.class_titles(db)}  # of those that are merged or retired too
    words = {"status": tuple(browse.STATUSES), "source": browse.SOURCES}
    options = {name: [(value, value) for value in values] for name, values in words.items()}
    options |= {"class": _named(classes), "person": _named(browse.people(db))}
    shown = {"items": _items(db, rows), "counts": browse.counts(db), "model": model}
    return shown | {"boot": boot, "options": options, "names": boot["names"]}


def _embeddings() -> list[cache.Cache]:
    return cache.kept(shared.instance() / project_store.FEATURES)


def _named(rows: list[dict[str, Any]]) -> list[tuple[Any, str]]:
    return [(row["id"], row["name"]) for row in rows]


def _page(db: Database, wanted: Filter, sort: str) -> tuple[list[dict[str, Any]] | None, str | None, str | None]:
    """The rows, and the addresses of the pages before and after them; no rows: it is the first page by now."""
    after, before = _key("after", sort), _key("before", sort)
    backwards = before is not None and after is None
    rows = browse.page(db, wanted, sort, before if backwards else after, backwards=backwards, count=PAGE + 1)
    if backwards and len(rows) <= PAGE:
        return None, None, None
    more = len(rows) > PAGE
    rows = rows[-PAGE:] if backwards else rows[:PAGE]
    earlier = _address(before=_cursor(rows[0])) if rows and (backwards or after) else None
    later = _address(after=_cursor(rows[-1])) if rows and (backwards or more) else None
    return rows, earlier, later


def _alike(db: Database, image_id: int) -> list[dict[str, Any]]:
    """The image and its nearest neighbours among the embeddings that the learner keeps, the likest first."""
    sha256 = browse.state(db, image_id)["sha256"]
    found = next(filter(None, (each.nearest(bytes.fromhex(sha256), PAGE - 1) for each in _embeddings())), [])
    return browse.these(db, [sha256, *(key.hex() for key in found)])


def _address(**cursor: str) -> str:
    """This page with the same filter and order, elsewhere."""
    kept = {name: value for name, value in request.args.items() if value and name not in ("after", "before")}
    return url_for("review.page", **{**kept, **cursor})  # type: ignore[arg-type]


def _cursor(row: dict[str, Any]) -> str:
    return f"{row['image_id']}~{row['key']}"


_KEYS: dict[str, Callable[[str], Any]] = {"newest": lambda text: min(int(text), _LARGEST), "wrong": float, "name": str}


def _key(name: str, sort: str) -> Key | None:
    """Where the page begins or ends."""
    text = request.args.get(name, "")
    image, _, value = text.partition("~")
    try:
        return Key(_KEYS[sort](value), min(int(image), _LARGEST)) if text else None
    except ValueError:
        raise AnnotatorError(f"{name} {text!r:.40} is no place in this order; start at the first page") from None


def _filter() -> Filter:
    """The filter in the address; AnnotatorError for anything that is not one."""
    return Filter(
        status=_choice("status", browse.STATUSES),
        class_id=_number("class", int, _LARGEST),
        person_id=_number("person", int, _LARGEST),
        source=_choice("source", browse.SOURCES),
        round=_number("round", int, _LARGEST),
        name=request.args.get("name", "").strip()[:_LONGEST],
        disagrees=_choice("disagrees", ("1",)) == "1",
        low=_number("low", float, 1),
        high=_number("high", float, 1),
    )


def _choice(name: str, choices: Any) -> str:
    value = request.args.get(name, "")
    if value and value not in choices:
        raise AnnotatorError(f"unknown {name} {value!r:.40}; choose from {', '.join(choices)}")
    return value


def _number(name: str, kind: type[int] | type[float], largest: int) -> Any:
    text = request.args.get(name, "").strip()
    if not text:
        return None
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not 0 <= value <= largest:
        raise AnnotatorError(f"{name} {text!r:.40} is no number between 0 and {largest}")
    return value


def _items(db: Database, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the page shows of each image."""
    names = browse.names(db, [row["image_id"] for row in rows])
    return [_item(row, names.get(row["image_id"], [])) for row in rows]


def _item(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    item = {"image": row["image_id"], "url": shared.image_url(row["image_id"], row["sha256"]), "names": names}
    item |= {key: row[key] for key in ("width", "height", "predicted", "confidence")}
    return item | {"status": STATES.get(row["status"], row["status"]), "class": row["class_id"]}


@blueprint.get(f"/api/review/<int(max={_LARGEST}):image_id>")
def image(image_id: int) -> ResponseReturnValue:
    """One image: what stands, what the last round thinks, and everything that was said of it."""
    with browse.reading(shared.instance()) as db:
        row = browse.state(db, image_id)
        item = _item(row, browse.names(db, [image_id]).get(image_id, []))
        model = rounds.latest_model(db)
        return jsonify(
            ok=True,
            item=item | {"model": model["number"] if model else None},
            probs=browse.opinion(db, image_id),
            history=browse.history(db, image_id),
        )
