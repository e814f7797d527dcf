"""Which rows may be compared: the strategies of a setting, and the models that share data and strategy.

What goes into one group differs in nothing but its arms: rows of one arm, seed and number of labels that differ in a
setting make groups of their own, or, where that is a setting of the arm, arms of their own.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import count
from typing import Any

import numpy as np

from learner.benchmark.study import ALL
from learner.training import METHODS

Row = dict[str, Any]
Facts = dict[str, str]
SETTING = ("dataset", "method", "preset", "features", "oracle", "query_size")  # strategies are compared within one
SHARED = ("dataset", "strategy", "oracle", "query_size")  # models are compared within one
SCHEDULE = "schedule"
NO_FACT = ("loop.seed", "loop.budgets", "loop.budget", "loop.query_size")  # the schedule says the last three
UNEVEN = 2  # the largest class has so many times the images of the smallest: imbalanced
IMBALANCED = ("@modified", "@longtail")  # in the names of data sets, for rows that do not count images


@dataclass(frozen=True)
class Models:
    """Rows with a column `model`, and those of the same models with all labels, however these were asked."""

    rows: list[Row]
    full: list[Row]


def by_setting(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows whose strategies may be compared with each other, under a name that says what is common to them.

    Rows of methods without features, of strategies that look at none, stand in every setting that differs in nothing
    else. All labels of a training set are one point, and their number the mean over seeds.
    """
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row.get(column, "") for column in SETTING)].append(row)
    found: dict[str, list[Row]] = {}
    for key, group in groups.items():
        bare = _bare(key)
        joins = key == bare and not _has_features(key[1])
        if joins and any(other != bare and _bare(other) == bare for other in groups):
            continue
        more = groups.get(bare, []) if key != bare and not _has_features(key[1]) else []
        found |= _apart(_name(dict(zip(SETTING, key, strict=True))), group + more, "strategy", "strategy.")
    return found


def by_model(rows: Iterable[Row]) -> dict[str, Models]:
    """Rows of one data set and one strategy by their column `model`: method, preset and the features it learns from.

    Only where there are several models. Features that only the strategies see divide the groups.
    """
    rows = list(rows)
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row.get(column, "") for column in SHARED)].append(row)
    found: dict[str, Models] = {}
    for key, group in groups.items():
        own = any(_has_features(row["method"]) for row in group)
        for features in dict.fromkeys("" if own else row.get("features", "") for row in group):
            said = dict(zip(SHARED, key, strict=True)) | {"features": features}
            seen = [row | {"model": _model(row, own)} for row in group if own or row.get("features", "") == features]
            for name, part in _apart(_name(said), seen, "model", "method.").items():
                if len({row["model"] for row in part}) > 1:
                    found[name] = Models(part, _full(rows, part))
    return found


def imbalanced(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Has the largest class of the training images at least twice those of the smallest that has any?

    Rows that do not count the images are judged by the name of their data set.
    """
    return any(_is_uneven(row) for row in rows)


def is_all(row: Mapping[str, Any]) -> bool:
    """Does every image of the training set have its label?"""
    images = row.get("images_per_class")
    if images:
        return bool(row["labels"] >= sum(images))
    budgets = _settings(row, "loop").get("budgets") or ()
    number = int(row.get("round", 1))
    return 0 < number <= len(budgets) and int(budgets[number - 1]) >= ALL


def _is_uneven(row: Mapping[str, Any]) -> bool:
    images = [number for number in row.get("images_per_class") or () if number]
    if images:
        return bool(max(images) >= UNEVEN * min(images))
    return any(word in str(row["dataset"]) for word in IMBALANCED)


def _has_features(method: str) -> bool:
    """Does it learn from features? Then what it sees without a word about them is one choice of them."""
    row = METHODS.get(method)
    return row is not None and any(field.name == "features" for field in fields(row.settings))


def _bare(key: tuple[Any, ...]) -> tuple[Any, ...]:
    at = SETTING.index("features")
    return (*key[:at], "", *key[at + 1 :])


def _name(said: Mapping[str, Any]) -> str:
    """What is said of a group; what goes without saying is left out."""
    words = [said.get(key, "") for key in ("dataset", "method", "preset", "strategy", "features")]
    words += [said["oracle"]] if said["oracle"] not in ("", "ground-truth") else []
    words += [f"{said['query_size']} at once"] if said["query_size"] else []
    return ", ".join(str(word) for word in words if word)


def _model(row: Row, own: bool) -> str:
    words = [row["method"], row.get("preset", ""), row.get("features", "") if own else ""]
    return ", ".join(str(word) for word in words if word)


def _full(rows: Sequence[Row], part: Sequence[Row]) -> list[Row]:
    """All labels of the same data and models, once for each seed; who asked for all of them does not matter."""
    names: dict[str, set[str]] = defaultdict(set)
    for row in part:
        names[_learned(row)].add(row["model"])
    found: dict[tuple[str, Any], Row] = {}
    for row in rows:
        if is_all(row) and all(row.get(column, "") == part[0].get(column, "") for column in ("dataset", "oracle")):
            for model in names.get(_learned(row), ()):
                found.setdefault((model, row["seed"]), row | {"model": model})
    return list(found.values())


def _learned(row: Row) -> str:
    """How a model learned, whoever asked."""
    features = row.get("features", "") if _has_features(row["method"]) else ""
    said = [row["method"], row.get("preset", ""), features, *_told_all(_settings(row, "method"))]
    return json.dumps(said)


def _told_all(settings: Mapping[str, Any]) -> list[str]:
    return sorted(f"{key}={_text(value)}" for key, value in settings.items())


def _apart(name: str, rows: Sequence[Row], by: str, inner: str) -> dict[str, list[Row]]:
    """Groups in which no arm has two rows of one seed and number of labels.

    Settings that begin with `inner` tell arms apart, all others groups; only those that differ within an arm do.
    """
    facts = _facts(rows)
    differing = _differing(rows, by, facts)
    outer = [fact for fact in differing if not fact.startswith(inner)]
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[", ".join([name, *_told(facts[row.get("cell", "")], outer)])].append(row)
    within = [fact for fact in differing if fact.startswith(inner)]
    return {said: _one_number(_once(_renamed(group, by, facts, within), by)) for said, group in groups.items()}


def _differing(rows: Sequence[Row], by: str, facts: Mapping[str, Facts]) -> list[str]:
    """Names of the settings that differ between rows of one arm, seed and number of labels."""
    seen: dict[tuple[Any, ...], list[Facts]] = defaultdict(list)
    for row in rows:
        said = facts[row.get("cell", "")]
        known = said | {SCHEDULE: ""} if is_all(row) else said  # all labels are all labels, however they were asked
        seen[row[by], row["seed"], row["labels"]].append(known)
    return sorted({
        name for first, *others in seen.values() for other in others
        for name in first.keys() | other.keys() if first.get(name) != other.get(name)
    })  # fmt: skip


def _renamed(rows: Sequence[Row], by: str, facts: Mapping[str, Facts], names: Sequence[str]) -> list[Row]:
    """Arms that stand there with several values of these settings, with theirs behind the name."""
    values: dict[tuple[Any, str], set[str]] = defaultdict(set)
    for row in rows:
        for name in names:
            values[row[by], name].add(facts[row.get("cell", "")].get(name, ""))
    found = []
    for row in rows:
        own = [name for name in names if len(values[row[by], name]) > 1]
        said = ", ".join(_told(facts[row.get("cell", "")], own))
        found.append(row | {by: f"{row[by]} ({said})"} if said else row)
    return found


def _once(rows: Sequence[Row], by: str) -> list[Row]:
    """Each measurement once: "all" and a number that the data set does not have asked for the same labels."""
    seen: set[tuple[Any, ...]] = set()
    found = []
    for row in rows:
        key = (row[by], row["seed"], row["labels"])
        if key not in seen or not (is_all(row) or row.get("settings")):  # nothing said of settings: not known to be it
            found.append(row)
        seen.add(key)
    return found


def _one_number(rows: Sequence[Row]) -> list[Row]:
    """All labels under one number: of thinned sets each seed has another, and their mean stands for them."""
    seeds = {row["seed"]: int(row["labels"]) for row in rows if is_all(row)}
    if not seeds:
        return list(rows)
    taken = {row["labels"] for row in rows if not is_all(row)}
    labels = next(number for number in count(round(float(np.mean(list(seeds.values()))))) if number not in taken)
    return [row | {"labels": labels, "all": True} if is_all(row) else row for row in rows]


def _facts(rows: Iterable[Row]) -> dict[str, Facts]:
    """Cell -> what decided its rows, flat, as its first row says it."""
    found: dict[str, Facts] = {}
    for row in rows:
        cell = row.get("cell", "")
        if cell not in found:
            found[cell] = _of(row)
    return found


def _of(row: Row) -> Facts:
    flat = {
        f"{part}.{key}": _text(value) for part in ("method", "strategy", "loop")
        for key, value in _settings(row, part).items()
    }  # fmt: skip
    seconds = float(row.get("human_seconds", 0)) / max(int(row["labels"]), 1)
    more = {"loop.cold_start": str(row.get("cold_start", "")), "seconds_per_label": f"{seconds:g}"}
    kept = {name: value for name, value in flat.items() if name not in NO_FACT}
    return kept | more | {SCHEDULE: _schedule(_settings(row, "loop"))}


def _settings(row: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """What the row says of its method, strategy or loop; nothing where it says none."""
    settings = row.get("settings")
    found = settings.get(part) if isinstance(settings, dict) else None
    return found if isinstance(found, dict) else {}


def _schedule(loop: Mapping[str, Any]) -> str:
    """When how much is asked."""
    budgets = loop.get("budgets") or ()
    if len(budgets) > 1:
        return f"budgets={','.join('all' if total >= ALL else str(total) for total in budgets)}"
    return "each budget on its own" if budgets else f"budget={loop.get('budget', '')}"


def _text(value: Any) -> str:
    """The same before and after a file."""
    return value if isinstance(value, str) else json.dumps(value)


def _told(facts: Facts, names: Sequence[str]) -> list[str]:
    """name=value as --method-set, --strategy-set and --set have it; a schedule says what it is itself."""
    return [facts.get(name, "") if name == SCHEDULE else f"{name.rpartition('.')[2]}={facts.get(name, '')}"
            for name in names]  # fmt: skip
