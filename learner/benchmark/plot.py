"""Learning curves, and what was asked, as pictures."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from learner.benchmark.summary import Point, curves

PANELS = {
    "classes_seen": "classes that have a label",
    "total_variation": "total variation distance to all classes",
    "coverage_radius": "distance of the farthest image",
}


def plot_curves(curves: Mapping[str, Sequence[Point]], path: Path, title: str) -> None:
    """Accuracy against labels, one line per name, a band of one standard deviation; writes a PNG."""
    figure, (axes,) = _figure(1, 7, 4.5)
    _lines(axes, curves, 100)
    axes.set(xlabel="labels", ylabel="accuracy on the test set, %", title=title)
    axes.legend()
    figure.savefig(path, dpi=150)


def plot_selection(rows: Iterable[dict[str, Any]], path: Path, title: str) -> None:
    """What each strategy asked: learner.acquisition.selection, and the images of each class; writes a PNG."""
    rows = list(rows)
    figure, axes = _figure(len(PANELS) + 1, 4.2 * (len(PANELS) + 1), 3.6)
    for panel, (value, label) in zip(axes, PANELS.items(), strict=False):
        _lines(panel, {str(key[0]): points for key, points in curves(rows, value=value).items()}, 1)
        panel.set(xlabel="labels", ylabel=label)
    for name, counts in _last_counts(rows).items():
        axes[-1].plot(np.arange(1, len(counts) + 1), counts, marker="o", markersize=3, label=name)
    axes[-1].set(xlabel="classes, the most frequent first", ylabel="labels in the end")
    axes[-1].grid(alpha=0.3)
    axes[0].legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=150)


def _last_counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """strategy -> (C,) labels of each class in the last round, descending, the mean over seeds."""
    last = max(row["labels"] for row in rows)
    found: dict[str, list[list[int]]] = {}
    for row in rows:
        if row["labels"] == last:
            found.setdefault(str(row["strategy"]), []).append(sorted(row["labels_per_class"], reverse=True))
    return {name: np.mean(counts, axis=0) for name, counts in found.items()}


def _figure(number: int, width: float, height: float) -> tuple[Any, Sequence[Any]]:
    """A figure with so many axes side by side. No window is ever opened."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, number, squeeze=False)[0])


def _lines(axes: Any, curves: Mapping[str, Sequence[Point]], scale: float) -> None:
    """Means with a band of one standard deviation."""
    for name, points in curves.items():
        labels = [point.labels for point in points]
        mean, std = (np.array([scale * getattr(point, part) for point in points]) for part in ("mean", "std"))
        (line,) = axes.plot(labels, mean, marker="o", markersize=3, label=name)
        axes.fill_between(labels, mean - std, mean + std, alpha=0.15, color=line.get_color(), linewidth=0)
    axes.grid(alpha=0.3)


def plot_clusters(distances: Sequence[float], eps: float, sizes: Sequence[int], path: Path, title: str) -> None:
    """The elbow plot, with the distance that was taken, and the sizes of the clusters; writes a PNG."""
    figure, (elbow, bars) = _figure(2, 9, 3.6)
    elbow.plot(distances)
    if np.isfinite(eps):
        elbow.axhline(eps, color="black", linewidth=0.8, linestyle="--")
    elbow.set(xlabel="images, by that distance", ylabel="distance to the neighbour that makes a core")
    bars.bar(np.arange(1, len(sizes) + 1), sizes)
    bars.set(xlabel="clusters, the largest first", ylabel="images")
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
