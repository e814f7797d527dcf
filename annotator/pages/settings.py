"""The settings page: how the project learns and asks. Every field comes from a dataclass, with its help text."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue
from sqlite_utils import Database

from annotator import settings
from annotator.errors import AnnotatorError
from annotator.pages import shared
from annotator.store import db as store
from annotator.store import overlap, project
from learner.acquisition import STRATEGIES, for_people
from learner.config import LoopSettings
from learner.errors import LearnerError
from learner.settings import as_dict
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
    facts = project.facts(shared.database())
    chosen = facts.get("learning", {})
    methods = [_row(name, row, chosen, "method") for name, row in METHODS.items()]
    strategies = [_row(name, STRATEGIES[name], chosen, "strategy") for name in for_people()]
    parts = {"loop": LoopSettings, "asking": settings.Asking}
    shown = {name: list(_fields(cls, chosen.get(name, {}))) for name, cls in parts.items()}
    shown["together"] = list(_fields(settings.Together, facts.get(overlap.KEY, {})))
    return render_template("settings/index.html", methods=methods, strategies=strategies, stages=STAGES, **shown)


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
        facts = project.facts(db)
        chosen = _merged(facts.get("learning", {}), given)
        try:
            found = settings.learning(chosen)
            people = settings.together(_texts(given, overlap.KEY, {}))
        except LearnerError as error:
            raise AnnotatorError(str(error)) from None
        project.put(db, learning=chosen)
        _ask_together(db, facts, people)
    return jsonify(
        ok=True,
        method=found.method.name,
        strategy=found.strategy.name,
        loop=as_dict(found.loop),
        asking=as_dict(found.asking),
    )


def _ask_together(db: Database, facts: Mapping[str, Any], people: settings.Together) -> None:
    """Images that were answered before follow at once, where that is new. Call inside `write`."""
    usual = as_dict(settings.Together())
    values = {key: value for key, value in as_dict(people).items() if value != usual[key]}
    if values != facts.get(overlap.KEY, {}):
        project.put(db, together=values)
        overlap.follow(db)


def _merged(old: Mapping[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What was said on the page; what only the command line may say stays."""
    chosen: dict[str, Any] = {}
    for kind in ("method", "strategy"):
        chosen[kind] = shared.field(given, kind, str, limit=100)
        same = old.get(kind) == chosen[kind]
        chosen[f"{kind}_settings"] = _texts(given, f"{kind}_settings", old.get(f"{kind}_settings", {}) if same else {})
    return chosen | {name: _texts(given, name, old.get(name, {})) for name in ("loop", "asking")}


def _texts(given: dict[str, Any], name: str, old: Mapping[str, Any]) -> dict[str, Any]:
    """A dictionary of texts, as a form sends them."""
    values = shared.field(given, name, dict, optional=True) or {}
    for key in values:
        if key in HIDDEN:
            raise AnnotatorError(f"{key!r} can only be set on the command line of this machine")
        shared.field(values, key, str, limit=300)
    return {key: value for key, value in old.items() if key in HIDDEN} | values
