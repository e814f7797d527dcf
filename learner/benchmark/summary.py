"""Mean and standard deviation over seeds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SETTING = ("dataset", "method", "preset", "features", "oracle", "query_size")  # strategies are compared within one


@dataclass(frozen=True)
class Point:
    """One budget of one curve: mean and sample standard deviation over `n` seeds."""

    labels: int
    mean: float
    std: float  # 0 for a single seed
    n: int


def curves(
    rows: Iterable[dict[str, Any]], by: Sequence[str] = ("strategy",), value: str = "accuracy"
) -> dict[tuple[Any, ...], list[Point]]:
    """Rows grouped by columns -> points by increasing number of labels, groups in the order they first appear."""
    groups: dict[tuple[Any, ...], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        groups[tuple(row[column] for column in by)][row["labels"]].append(row[value])
    return {key: [_point(labels, found[labels]) for labels in sorted(found)] for key, found in groups.items()}


def _point(labels: int, values: list[float]) -> Point:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Point(labels, float(np.mean(values)), spread, len(values))


def by_setting(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Rows that may be compared with each other, under a name that says what is common to them.

    Rows without features, of strategies that look at none, stand in every setting that differs in nothing else.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row.get(column, "") for column in SETTING)].append(row)
    at = SETTING.index("features")
    found = {}
    for key, group in groups.items():
        bare = (*key[:at], "", *key[at + 1 :])
        if key == bare and any(other != bare and (*other[:at], "", *other[at + 1 :]) == bare for other in groups):
            continue
        found[_name(key)] = group + (groups.get(bare, []) if key != bare else [])
    return found


def _name(key: tuple[Any, ...]) -> str:
    """What is said of a setting; what goes without saying is left out."""
    said = dict(zip(SETTING, key, strict=True))
    words = [said["dataset"], said["method"], said["preset"], said["features"]]
    words += [said["oracle"]] if said["oracle"] not in ("", "ground-truth") else []
    words += [f"{said['query_size']} at once"] if said["query_size"] else []
    return ", ".join(str(word) for word in words if word)
