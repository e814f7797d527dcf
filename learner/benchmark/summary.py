"""Mean and standard deviation over seeds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Point:
    """One budget of one curve: mean and sample standard deviation over `n` seeds."""

    labels: int
    mean: float
    std: float  # 0 for a single seed
    n: int
    is_all: bool = False  # every image of the training set has its label


def curves(
    rows: Iterable[Mapping[str, Any]], by: Sequence[str] = ("strategy",), value: str = "accuracy"
) -> dict[tuple[Any, ...], list[Point]]:
    """Rows grouped by columns -> points by increasing number of labels, groups in the order they first appear."""
    groups: dict[tuple[Any, ...], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    whole: set[int] = set()
    for row in rows:
        groups[tuple(row[column] for column in by)][row["labels"]].append(row[value])
        whole |= {row["labels"]} if row.get("all") else set()
    return {
        key: [_point(labels, found[labels], labels in whole) for labels in sorted(found)]
        for key, found in groups.items()
    }


def _point(labels: int, values: list[float], is_all: bool) -> Point:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Point(labels, float(np.mean(values)), spread, len(values), is_all)


def spelled(labels: int, is_all: bool) -> str:
    """How a table names a number of labels."""
    return f"all ({labels})" if is_all else str(labels)


def in_the_end(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """strategy -> its rows at the largest number of labels that all strategies have; at its own largest without one.

    All labels count only where there is nothing else: who asks for everything chooses nothing.
    """
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[str(row["strategy"])].append(row)
    numbers = {name: _chosen(own) or {row["labels"] for row in own} for name, own in found.items()}
    shared = set.intersection(*numbers.values()) if numbers else set()
    last = {name: max(shared or numbers[name]) for name in found}
    return {name: [row for row in own if row["labels"] == last[name]] for name, own in found.items()}


def _chosen(rows: Sequence[Mapping[str, Any]]) -> set[int]:
    return {row["labels"] for row in rows if not row.get("all")}
