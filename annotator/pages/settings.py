"""The settings page: how the project learns and asks. Every field comes from a dataclass, with its help text."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue

from annotator import settings
from annotator.errors import AnnotatorError
from annotator.pages import shared
from annotator.store import db as store
from annotator.store import project
from learner.acquisition import STRATEGIES, for_people
from learner.config import LoopSettings, as_dict
from learner.errors import LearnerError
from learner.training import METHODS

blueprint = Blueprint("settings", __name__)
HIDDEN = {"weights", "seed", "budgets", "budget"}  # for the command line: paths of this machine, and simulations


STAGES = {
    "": "",
    "any": "At any time",
    "cold start": "Before there is any label, and while there are few",
    "few labels": "With a few labels for each class",
    "many labels": "With many labels",
    "the study": "To repeat the study of 2021",
}


@blueprint.get("/settings")
def page() -> ResponseReturnValue:
    chosen = project.facts(shared.database()).get("learning", {})
    methods = [_row(name, row, chosen, "method") for name, row in METHODS.items()]
    strategies = [_row(name, STRATEGIES[name], chosen, "strategy") for name in for_people()]
    loop = list(_fields(LoopSettings, chosen.get("loop", {})))
    return render_template("settings/index.html", methods=methods, strategies=strategies, loop=loop, stages=STAGES)


def _row(name: str, row: Any, chosen: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A method or a strategy, whether it is the chosen one, and its fields."""
    default = settings.METHOD if kind == "method" else settings.STRATEGY
    is_chosen = chosen.get(kind, default) == name
    values = chosen.get(f"{kind}_settings", {}) if is_chosen else {}
    return {
        "name": name, "summary": row.summary, "paper": row.paper, "chosen": is_chosen,
        "stage": getattr(row, "stage", ""),
        "fields": list(_fields(row.settings, values)),
    }  # fmt: skip


def _fields(cls: type, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a form needs of each setting: its kind, help, limits, default, and what was set."""
    for field in dataclasses.fields(cls):
        if field.name in HIDDEN:
            continue
        kind = "choice" if field.metadata["choices"] else type(field.default).__name__
        yield {
            "name": field.name, "help": field.metadata["help"], "kind": kind, "default": field.default,
            "choices": field.metadata["choices"], "value": values.get(field.name, ""),
        }  # fmt: skip


@blueprint.post("/api/settings")
def save() -> ResponseReturnValue:
    """Replace how the project learns and asks; the next round follows. See docs/api.md."""
    given = shared.body()
    db = shared.database()
    with store.write(db):
        chosen = _merged(project.facts(db).get("learning", {}), given)
        try:
            found = settings.learning(chosen)
        except LearnerError as error:
            raise AnnotatorError(str(error)) from None
        project.put(db, learning=chosen)
    return jsonify(ok=True, method=found.method.name, strategy=found.strategy.name, loop=as_dict(found.loop))


def _merged(old: Mapping[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What was said on the page; what only the command line may say stays."""
    chosen: dict[str, Any] = {}
    for kind in ("method", "strategy"):
        chosen[kind] = shared.field(given, kind, str, limit=100)
        same = old.get(kind) == chosen[kind]
        chosen[f"{kind}_settings"] = _texts(given, f"{kind}_settings", old.get(f"{kind}_settings", {}) if same else {})
    return chosen | {"loop": _texts(given, "loop", old.get("loop", {}))}


def _texts(given: dict[str, Any], name: str, old: Mapping[str, Any]) -> dict[str, Any]:
    """A dictionary of texts, as a form sends them."""
    values = shared.field(given, name, dict, optional=True) or {}
    for key in values:
        if key in HIDDEN:
            raise AnnotatorError(f"{key!r} can only be set on the command line of this machine")
        shared.field(values, key, str, limit=300)
    return {key: value for key, value in old.items() if key in HIDDEN} | values
