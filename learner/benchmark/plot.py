"""Learning curves, and what was asked, as pictures."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from learner.benchmark.summary import Point, curves, in_the_end, spelled

# Okabe and Ito's colours, which colour-blind people tell apart, and a grey
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F", "#B8A800")
MARKERS = "osD^vP*XdhpH8"
DASHES = ("-", "--", ":")
PANELS = {
    "classes_seen": "classes that have a label",
    "total_variation": "total variation distance to all classes",
    "coverage_radius": "distance of the farthest image",
}


def plot_curves(
    curves: Mapping[str, Sequence[Point]],
    paths: Sequence[Path],
    title: str,
    value: str = "accuracy",
    full: Mapping[str, float] | None = None,
) -> None:
    """A value against labels, linear and by their logarithm, one line per name, a band of 95 % for the mean.

    `full`: the value of a name with all labels, a horizontal line in its colour.
    Writes the picture in the kinds that the paths end in.
    """
    figure, panels = _figure(2, 12, 4.8)
    for axes, scale in zip(panels, ("linear", "log"), strict=True):
        _lines(axes, curves, 100)
        _levels(axes, list(curves), full or {})
        axes.set(xlabel="labels", ylabel=f"{value.replace('_', ' ')} on the test set, %", xscale=scale)
    _log_ticks(panels[1], curves)
    _finish(figure, panels[0], paths, title)


def _levels(axes: Any, names: Sequence[str], full: Mapping[str, float]) -> None:
    """What each name reaches with all labels."""
    for number, name in enumerate(names):
        if name in full:
            axes.axhline(100 * full[name], color=_look(number)["color"], linewidth=1, linestyle=(0, (1, 2)))
    if full:
        axes.plot([], [], color="grey", linewidth=1, linestyle=(0, (1, 2)), label="with all labels")


def plot_time(rows: Iterable[dict[str, Any]], paths: Sequence[Path], title: str, value: str = "accuracy") -> None:
    """A value against hours: of labeling alone, and of labeling and computing one after the other."""
    rows = list(rows)
    found = {str(key[0]): points for key, points in curves(rows, value=value).items()}
    figure, panels = _figure(2, 12, 4.8)
    for axes, computing in zip(panels, (False, True), strict=True):
        _lines(axes, found, 100, hours(rows, computing))
        label = "hours of labeling and computing" if computing else "hours of labeling"
        axes.set(xlabel=label, ylabel=f"{value.replace('_', ' ')} on the test set, %")
    _finish(figure, panels[0], paths, title)


def hours(rows: Sequence[Mapping[str, Any]], computing: bool) -> dict[str, dict[int, float]]:
    """strategy -> labels -> hours until there, the mean over seeds; with the computing of all rounds so far or not."""
    found: dict[str, dict[int, list[float]]] = {}
    spent: dict[tuple[str, Any], float] = {}  # seconds of computing of a run so far
    for row in sorted(rows, key=lambda row: int(row["labels"])):
        run = str(row["strategy"]), row["seed"]
        parts = ("train_seconds", "predict_seconds", "select_seconds") if computing else ()
        spent[run] = spent.get(run, 0.0) + sum(float(row[part]) for part in parts)
        seconds = float(row.get("human_seconds", 0.0)) + spent[run]
        found.setdefault(run[0], {}).setdefault(int(row["labels"]), []).append(seconds / 3600)
    return {name: {labels: float(np.mean(each)) for labels, each in at.items()} for name, at in found.items()}


def _log_ticks(axes: Any, curves: Mapping[str, Sequence[Point]]) -> None:
    """The budgets themselves, where they are few."""
    named = {point.labels: spelled(point.labels, point.is_all) for points in curves.values() for point in points}
    if len(named) <= 8:
        axes.set_xticks(sorted(named), [named[labels] for labels in sorted(named)])
        axes.minorticks_off()


def plot_selection(rows: Iterable[dict[str, Any]], paths: Sequence[Path], title: str) -> None:
    """What each strategy asked: learner.acquisition.selection, and the images of each class.

    Without all labels, beside which nothing else could be seen, and which nobody chose.
    """
    rows = list(rows)
    rows = [row for row in rows if not row.get("all")] or rows
    figure, axes = _figure(len(PANELS) + 1, 4.2 * (len(PANELS) + 1), 3.6)
    for panel, (value, label) in zip(axes, PANELS.items(), strict=False):
        _lines(panel, {str(key[0]): points for key, points in curves(rows, value=value).items()}, 1)
        panel.set(xlabel="labels", ylabel=label)
    for number, (name, counts) in enumerate(last_counts(rows).items()):
        axes[-1].plot(np.arange(1, len(counts) + 1), counts, markersize=3, label=name, **_look(number))
    ends = {own[0]["labels"] for own in in_the_end(rows).values()}
    ylabel = f"labels, of {min(ends)}" if len(ends) == 1 else "labels of each strategy in the end"
    axes[-1].set(xlabel="classes, the most frequent first", ylabel=ylabel)
    axes[-1].grid(alpha=0.3)
    _finish(figure, axes[0], paths, title)


def last_counts(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """strategy -> (C,) labels of each class in the end, descending, the mean over seeds: `in_the_end`."""
    counts = {
        name: [sorted(row["labels_per_class"], reverse=True) for row in own] for name, own in in_the_end(rows).items()
    }
    return {name: np.mean(each, axis=0) for name, each in counts.items()}


def _figure(number: int, width: float, height: float) -> tuple[Any, Sequence[Any]]:
    """A figure with so many axes side by side. No window is ever opened."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, number, squeeze=False)[0])


def _lines(
    axes: Any,
    curves: Mapping[str, Sequence[Point]],
    scale: float,
    places: Mapping[str, Mapping[int, float]] | None = None,
) -> None:
    """Means with a band that is their 95 % interval, by Student's t, cut where no value can be. Lines differ in look.

    A point stands at its number of labels, or at its place: name -> labels -> x.
    """
    for number, (name, points) in enumerate(curves.items()):
        labels = [places[name][point.labels] if places else point.labels for point in points]
        mean = np.array([scale * point.mean for point in points])
        half = np.array([scale * half_width(point) for point in points])
        look = _look(number)
        axes.plot(labels, mean, markersize=4, label=name, **look)
        low, high = np.maximum(mean - half, 0), mean + half  # nothing that is drawn can be negative
        if scale == 100:
            high = np.minimum(high, 100)
        axes.fill_between(labels, low, high, alpha=0.12, color=look["color"], linewidth=0)
    axes.grid(alpha=0.3)


def _look(number: int) -> dict[str, str]:
    """How the line of this number looks, in every picture of a run."""
    color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
    return {"color": color, "marker": marker, "linestyle": DASHES[number // len(COLORS) % len(DASHES)]}


def _finish(figure: Any, panel: Any, paths: Sequence[Path], title: str) -> None:
    """Title, the names of the lines below everything, and onto the disk. The layout is found once for all kinds."""
    handles, labels = panel.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    columns = min(int(width / 2), max(1, len(labels)))
    figure.set_size_inches(width, height + 0.25 * -(-len(labels) // columns))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    figure.suptitle(title)
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine(None)
    for path in paths:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def half_width(point: Point) -> float:
    """Of the 95 % interval of a mean; 0 for a single seed."""
    from scipy import stats

    return float(stats.t.ppf(0.975, point.n - 1) * point.std / point.n**0.5) if point.n > 1 else 0.0


def plot_clusters(distances: Sequence[float], eps: float, sizes: Sequence[int], path: Path, title: str) -> None:
    """The elbow plot, with the distance that was taken, and the sizes of the clusters; writes a PNG."""
    figure, (elbow, bars) = _figure(2, 10, 3.8 + 0.2 * title.count("\n"))
    elbow.plot(distances)
    if np.isfinite(eps):
        elbow.axhline(eps, color="black", linewidth=0.8, linestyle="--")
    elbow.set(xlabel="images, by that distance", ylabel="distance that makes a core")
    bars.bar(np.arange(1, len(sizes) + 1), sizes)
    bars.set(xlabel="clusters, the largest first", ylabel="images")
    figure.suptitle(title, fontsize="medium")
    figure.savefig(path, dpi=120)
