"""How this project learns and asks: defaults < project < command line, resolved here and nowhere else."""

from dataclasses import dataclass, field
from typing import Any

from sqlite_utils import Database

from annotator.store import project as project_store
from learner.acquisition import STRATEGIES, for_people
from learner.config import LoopSettings
from learner.errors import BadSetting
from learner.registry import lookup
from learner.settings import Choice, resolve, setting
from learner.training import METHODS

METHOD, STRATEGY = "propagate", "auto"  # what was measured best: docs/strategies.md, benchmarks/digits.py


@dataclass(frozen=True)
class Asking:
    """What people are shown, and what they are asked besides new images."""

    second_look_share: float = setting(
        0.05, "share of the images asked that have a label already, which is probably wrong; 0: none", high=0.5
    )
    suggestion_share: float = setting(
        1.0, "share of the images that come with the model's suggestion, always the same ones; 0: none", high=1
    )


@dataclass(frozen=True)
class Learning:
    """The arguments of `advance`, and how people are asked."""

    method: Choice
    strategy: Choice
    loop: LoopSettings = field(default_factory=LoopSettings)
    asking: Asking = field(default_factory=Asking)


@dataclass(frozen=True)
class Together:
    """How people work together."""

    overlap: int = setting(1, "people who are asked of an image; none sees what another says", low=1, high=100)
    overlap_share: float = setting(1.0, "share of the images that so many are asked of; the others need one", high=1)


def together(values: dict[str, Any]) -> Together:
    """From JSON. Raises BadSetting."""
    return resolve(Together, values)


def learning(values: dict[str, Any]) -> Learning:
    """From JSON: {method, method_settings, strategy, strategy_settings, loop, asking}, each optional.

    Raises UnknownName and BadSetting.
    """
    method, strategy = values.get("method", METHOD), values.get("strategy", STRATEGY)
    method_row, strategy_row = lookup("method", METHODS, method), lookup("strategy", STRATEGIES, strategy)
    loop = resolve(LoopSettings, values.get("loop", {}))
    for name in (strategy, loop.cold_start):
        _require_askable(name)
    asked = values.get("strategy_settings", {})
    if asked and "strategy" not in values:
        raise BadSetting(
            f"{next(iter(asked))!r} is set for a strategy, and none is named: name it with --strategy or on the "
            f"Settings page; without a name {strategy} asks, which has no settings"
        )
    return Learning(
        Choice(method, resolve(method_row.settings, values.get("method_settings", {}))),
        Choice(strategy, resolve(strategy_row.settings, asked)),
        loop,
        resolve(Asking, values.get("asking", {})),
    )


def asking(db: Database) -> Asking:
    """How this project asks people."""
    return resolve(Asking, (project_store.fact(db, "learning") or {}).get("asking", {}))


def _require_askable(strategy: str) -> None:
    """BadSetting for a strategy that would have to know the truth."""
    if strategy in STRATEGIES and STRATEGIES[strategy].is_oracle:
        raise BadSetting(
            f"strategy {strategy!r} needs the class of every image, which only annotator simulate knows; "
            f"choose from {', '.join(for_people())}"
        )


def of_project(db: Database) -> Learning:
    """What the project says."""
    return learning(project_store.facts(db).get("learning", {}))
