"""Studies: whole grids of cells in one TOML file, by name (shipped) or by path.

    title = "..."
    question = "..."
    value = "accuracy"              # what is compared; balanced_accuracy under imbalance

    [[grid]]                        # every combination of its lists
    dataset = ["digits", "digits@modified"]
    method = "propagate"
    strategy = ["random", "typiclust"]
    seeds = 20                      # 0, 1, ..., or a list

A grid takes the axes below; each is one value or a list. `budgets` is a list of label totals, or a list of such lists;
"all" stands for every image. `preset` and `features` go to the methods that have them. Further settings are tables:
`loop`, `method_settings.NAME` and `strategy_settings.NAME`. `label` is put behind the names of the strategies, where
the same ones stand in several grids.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from learner import datasets, oracles
from learner.acquisition import STRATEGIES
from learner.config import LoopSettings
from learner.errors import BadSetting, UnknownName
from learner.registry import Row, lookup
from learner.settings import Choice, resolve
from learner.simulate import Cell
from learner.training import METHODS

SHIPPED = Path(__file__).parent / "studies"
ALL = 10**9  # labels: more than any pool has
AXES: dict[str, Any] = {
    "dataset": "digits", "method": "propagate", "preset": "", "features": "", "strategy": "random",
    "cold_start": "random", "oracle": "ground-truth", "query_size": 10, "budget": 100, "budgets": (), "seeds": 5,
}  # fmt: skip
TABLES = ("loop", "method_settings", "strategy_settings", "label")
FACTS = ("title", "question", "value", "seconds_per_label")
SIMULATED = {"tail_size": 0, "full_query_only": True}


@dataclass(frozen=True)
class Study:
    """What is asked, and every run that answers it, in order."""

    title: str
    cells: tuple[Cell, ...]
    question: str = ""
    value: str = ""  # empty: balanced_accuracy where a data set is imbalanced, else accuracy


def names() -> list[str]:
    """The studies that are shipped."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def read(name: str) -> Study:
    """The study of this name, or of this file. UnknownName where there is neither, BadSetting for what is wrong."""
    path = SHIPPED / f"{name}.toml" if name in names() else Path(name)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise UnknownName(
            f"unknown study {name!r}; choose from {', '.join(names())}, or give the path of a TOML file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} is no TOML file: {error}") from None
    try:
        return study(values, path.stem)
    except (BadSetting, UnknownName) as error:
        raise type(error)(f"{path.name}: {error}") from None


def study(values: Mapping[str, Any], name: str = "study") -> Study:
    """From the values of a file. Equal cells of several grids count once."""
    _require_known(values, (*FACTS, "grid"), "a study")
    grids = values.get("grid", [])
    if not isinstance(grids, list) or not grids:
        raise BadSetting("a study needs at least one [[grid]]")
    seconds = float(values.get("seconds_per_label", 0))
    found = {cell.key: cell for grid in grids for cell in cells(grid, seconds)}
    return Study(values.get("title", name), tuple(found.values()), values.get("question", ""), values.get("value", ""))


def cells(grid: Mapping[str, Any], seconds_per_label: float = 0.0) -> Iterator[Cell]:
    """Every combination; all strategies of a seed follow one another, because they share what is loaded."""
    _require_known(grid, (*AXES, *TABLES), "a grid")
    for table, axis in (("method_settings", "method"), ("strategy_settings", "strategy")):
        _require_known(grid.get(table, {}), tuple(_values(axis, grid.get(axis, AXES[axis]))), table)
    axes = {name: _values(name, grid.get(name, default)) for name, default in AXES.items()}
    order = ("dataset", "features", "oracle", "method", "preset", "seeds", "budgets", "budget", "query_size",
             "cold_start", "strategy")  # fmt: skip
    for values in product(*(axes[name] for name in order)):
        yield cell(dict(zip(order, values, strict=True)), grid, seconds_per_label)


def cell(at: Mapping[str, Any], tables: Mapping[str, Any], seconds_per_label: float = 0.0) -> Cell:
    """One point of a grid, checked: UnknownName and BadSetting come before anything runs."""
    datasets.parse(at["dataset"])
    oracles.require(at["oracle"])
    method = lookup("method", METHODS, at["method"])
    strategy = lookup("strategy", STRATEGIES, at["strategy"])
    given = {key: at[key] for key in ("preset", "features") if at[key]}
    own = tables.get("method_settings", {}).get(at["method"], {})
    learned: Any = resolve(
        method.settings, _fitting(method, {key: value for key, value in given.items() if value}), own
    )
    settings = resolve(LoopSettings, SIMULATED, _loop(at, method, strategy), tables.get("loop", {}))
    asked: Any = resolve(strategy.settings, tables.get("strategy_settings", {}).get(at["strategy"], {}))
    return Cell(
        at["dataset"], Choice(at["method"], learned), Choice(at["strategy"], asked), settings, at["oracle"],
        seconds_per_label, tables.get("label", ""),
    )  # fmt: skip


def _loop(at: Mapping[str, Any], method: Row, strategy: Row) -> dict[str, Any]:
    """What the axes say of the loop. Where the method sees no features, they are what the strategy sees."""
    total = {"budgets": at["budgets"]} if at["budgets"] else {"query_size": at["query_size"], "budget": at["budget"]}
    is_seen = "embedding" in strategy.needs and not _fitting(method, {"features": ""})
    seen = {"features": at["features"]} if is_seen else {}
    return {"cold_start": at["cold_start"], "seed": at["seeds"], **total, **seen}


def _fitting(row: Row, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of the values, what the row has a setting for."""
    has = {field.name for field in fields(row.settings)}
    return {key: value for key, value in values.items() if key in has}


def _values(name: str, value: Any) -> list[Any]:
    """An axis as the list of its values."""
    if name == "seeds":
        return list(range(value)) if isinstance(value, int) else list(value)
    if name == "budgets":
        several = bool(value) and isinstance(value[0], list)
        return [tuple(ALL if total == "all" else total for total in one) for one in (value if several else [value])]
    return value if isinstance(value, list) else [value]


def _require_known(values: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    for key in values:
        if key not in known:
            raise BadSetting(f"unknown key {key!r} of {what}; it has {', '.join(known)}")


def with_seeds(study: Study, seeds: int) -> Study:
    """Only the first so many seeds of each setting, as the study lists them: a quick look at a large one."""
    taken: dict[str, int] = defaultdict(int)
    kept = []
    for cell in study.cells:
        setting = replace(cell, settings=replace(cell.settings, seed=0)).key
        taken[setting] += 1
        kept += [cell] if taken[setting] <= seeds else []
    return replace(study, cells=tuple(kept))
