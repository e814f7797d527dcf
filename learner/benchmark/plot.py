"""Learning curves as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from learner.benchmark.summary import Point


def plot_curves(curves: Mapping[str, Sequence[Point]], path: Path, title: str) -> None:
    """Accuracy against labels, one line per name, a band of one standard deviation; writes a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, points in curves.items():
        labels = [point.labels for point in points]
        mean = [100 * point.mean for point in points]
        low = [100 * (point.mean - point.std) for point in points]
        high = [100 * (point.mean + point.std) for point in points]
        (line,) = axes.plot(labels, mean, marker="o", markersize=3, label=name)
        axes.fill_between(labels, low, high, alpha=0.15, color=line.get_color(), linewidth=0)
    axes.set(xlabel="labels", ylabel="accuracy on the test set, %", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)
