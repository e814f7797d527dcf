"""Mean and standard deviation over seeds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
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
