"""`annotator features`: how good embeddings are for data whose classes are known. A table, a CSV file, a picture."""

import csv
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from annotator.simulated import text
from learner import datasets
from learner.acquisition import STRATEGIES
from learner.acquisition.density import NOISE, clusters_of
from learner.benchmark.plot import plot_clusters
from learner.benchmark.report.page import heading
from learner.data import ImageSet, IntArray
from learner.errors import LearnerError
from learner.features import Extractor, extract, extractor, parse, quality
from learner.settings import Choice, as_dict, resolve

TIMED = 64  # images that are embedded once more to see how long it takes
METRICS = ("euclidean", "cosine")
CLUSTERED = ("nmi", "homogeneity", "completeness", "v_measure", "ari", "ami", "silhouette")
HEADS = {
    "knn_euclidean": "kNN eucl.", "knn_cosine": "kNN cosine", "homogeneity": "homog.", "completeness": "compl.",
    "v_measure": "V", "silhouette": "silh.", "recognition": "recogn.", "seconds": "s",
    "images_per_second": "images / s",
}  # fmt: skip
SHOWN = ("knn_euclidean", "knn_cosine", *CLUSTERED, "recognition", "seconds", "images_per_second")
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Measuring:
    """What is looked at."""

    k: int = 10
    batch: int = 100  # test images whose accuracy is taken together
    total: int = 10_000  # training images; a fifth as many of the test
    clusterings: tuple[Choice, ...] = ()  # dbscan, optics
    command: str = ""  # that asked for it, for the pictures


@dataclass(frozen=True)
class Measured:
    """One line of the table."""

    features: str
    values: dict[str, float] = field(default_factory=dict)
    reason: str = ""  # why it was not measured

    def row(self) -> dict[str, Any]:
        return {"features": self.features, "not_measured": self.reason, **self.values}


def resolved(names: Sequence[str], values: Mapping[str, str]) -> tuple[Choice, ...]:
    """Clusterings with these settings. Raises BadSetting."""
    return tuple(Choice(name, resolve(STRATEGIES[name].settings, values)) for name in names)


def named(backbone: str, sizes: Sequence[int]) -> list[str]:
    """Texts of features: `pca` as it is, a name of timm with each size."""
    if ":" not in backbone and backbone.partition("@")[0] in ("pca", "pixels", "autoencoder"):
        return [backbone]
    if not backbone.startswith(("timm:", "dec:")):
        backbone = f"timm:{backbone}"
    if backbone.startswith("dec:"):
        return [backbone]
    return [f"{backbone}@{size}" for size in sizes] or [backbone]


def measure_all(
    dataset: str, backbones: Sequence[str], sizes: Sequence[int], settings: Measuring, weights: str, out: Path,
    say: Callable[[str], None],
) -> str:  # fmt: skip
    """Every kind of features; those that cannot be had are in the table with the reason. Returns the table."""
    data = datasets.load(dataset)
    train = data.train.only(data.train.ids[: settings.total])
    test = data.test.only(data.test.ids[: max(1, settings.total // 5)])
    classes = (data.train_classes[: len(train)], data.test_classes[: len(test)])
    found = []
    for features in [name for backbone in backbones for name in named(backbone, sizes)]:
        say(features)
        try:
            found.append(
                Measured(features, measure(features, train, test, classes, len(data.classes), settings, weights))
            )
        except LearnerError as error:
            found.append(Measured(features, reason=str(error)))
    out.mkdir(parents=True, exist_ok=True)
    _write(_rows(found), out / "features.csv")
    said = f"{dataset}, seed 0, {len(train):,} images"
    lines = list(_all_clusters(measured(found), train, classes[0], settings, weights, out, said))
    _plot(found, out / "features.png", heading(f"{said}; {_how(settings, len(test))}", settings.command))
    lines.append(f"{out / 'features.csv'} and {out / 'features.png'} written")
    return "\n".join([_table(found, settings), *lines])


def _how(settings: Measuring, tested: int) -> str:
    """What an accuracy of the picture is of."""
    batches = -(-tested // settings.batch)
    spread = f", ± standard deviation over {batches} batches of {settings.batch}" if batches > 1 else ", one batch"
    return f"k = {settings.k}, {tested:,} images tested{spread}"


def _rows(found: Sequence[Measured]) -> list[dict[str, Any]]:
    """Of the file: what could not be had says so in every column."""
    names = next((list(line.values) for line in found if line.values), list(SHOWN))
    missing = dict.fromkeys(names, NOT_MEASURED)
    return [line.row() | (missing if line.reason else {}) for line in found]


def measured(found: Sequence[Measured]) -> list[str]:
    """Texts of the features that could be had."""
    return [line.features for line in found if not line.reason]


def _all_clusters(
    features: Sequence[str],
    images: ImageSet,
    classes: IntArray,
    settings: Measuring,
    weights: str,
    out: Path,
    said: str,
) -> Iterator[str]:
    """What DBSCAN and OPTICS find, with the elbow plot and the sizes in a picture, and how that fits the classes."""
    rows = []
    for kind, chosen in product(features, settings.clusterings):
        name, values = chosen.name, chosen.settings
        x = extract(extractor(images, parse(kind, weights=weights)), images)
        found = clusters_of(name, x, np.random.default_rng(0), values)
        path = out / f"{name}-{re.sub(r'[^A-Za-z0-9.@_-]', '-', kind)}.png"
        title = heading(f"{name} on {kind}, {values.metric}: {said}", settings.command)
        plot_clusters(found.distances.tolist(), found.eps, found.sizes.tolist(), path, title)
        scores, noise = quality.against(classes, x, found.clusters), int((found.clusters == NOISE).sum())
        rows.append({"features": kind, "clusters_by": name, **as_dict(values), "found_eps": found.eps,
                     "clusters": len(found.sizes), "noise": noise, **scores})  # fmt: skip
        shown = ", ".join(f"{key.replace('_', ' ')} {scores[key]:.3f}" for key in CLUSTERED)
        yield f"{name} on {kind}, {values.metric}: {found}; {shown}; {path} written"
    if rows:
        _write(rows, out / "clusters.csv")
        yield f"{out / 'clusters.csv'} written"


def measure(
    features: str, train: ImageSet, test: ImageSet, classes: tuple[Any, Any], number: int, settings: Measuring,
    weights: str = "",
) -> dict[str, float]:  # fmt: skip
    """All columns of one line. Raises LearnerError.

    `seconds` are those that all images take with nothing on disk: fitting, then each at the measured speed. Loading a
    pretrained net does not count.
    """
    kind = parse(features, weights=weights)
    began = time.perf_counter()
    fitted = extractor(train, kind)
    fitting = 0.0 if kind.name == "timm" else time.perf_counter() - began
    x, y = extract(fitted, train), extract(fitted, test)
    speed = _speed(fitted, train)
    values: dict[str, float] = {"width": x.shape[1], "seconds": fitting + (len(train) + len(test)) / speed}
    values["images_per_second"] = speed
    for metric in METRICS:
        near = quality.knn_accuracy(x, classes[0], y, classes[1], settings.k, metric, settings.batch)
        values |= {f"knn_{metric}": near.mean, f"knn_{metric}_std": near.std}
    values |= quality.clustering(x, classes[0], number)
    values |= asdict(quality.altered(train, fitted))
    return values | {name: score(x, number) for name, score in quality.SCORES.items() if name not in values}


def _speed(fitted: Extractor, images: ImageSet) -> float:
    """Images per second without what is on disk; the first batch, which builds what is built once, does not count."""
    ids = np.resize(images.ids, TIMED)
    pixels, _ = images.sized(ids, fitted.side)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        for start in range(0, TIMED, fitted.batch):
            fitted(pixels[start : start + fitted.batch])
        seconds.append(time.perf_counter() - began)
    return TIMED / seconds[-1]


def _write(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def _table(found: Sequence[Measured], settings: Measuring) -> str:
    table = Table(title=f"k = {settings.k}; kNN in % ± standard deviation over batches of {settings.batch}")
    table.add_column("features", overflow="fold")
    for name in SHOWN:
        table.add_column(HEADS.get(name, name.replace("_", " ")), justify="right")
    for line in found:
        if line.reason:
            table.add_row(line.features, *[NOT_MEASURED] * len(SHOWN))
        else:
            table.add_row(line.features, *(_cell(line, name) for name in SHOWN))
    reasons = [f"{line.features} was not measured: {line.reason}" for line in found if line.reason]
    return "\n".join([text(table, 150), *reasons])


def _cell(line: Measured, name: str) -> str:
    value = line.values[name]
    if name.startswith("knn"):
        return f"{100 * value:.1f} ± {100 * line.values[name + '_std']:.1f}"
    return f"{value:,.0f}" if name == "images_per_second" else f"{value:.{1 if name == 'seconds' else 3}f}"


def _plot(found: Sequence[Measured], path: Path, title: str) -> None:
    """kNN accuracy of each, with the spread over batches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [line for line in found if line.values]
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(lines) + 0.2 * title.count("\n")), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for offset, metric in zip((-0.2, 0.2), METRICS, strict=True):
        means = [100 * line.values[f"knn_{metric}"] for line in lines]
        stds = [100 * line.values[f"knn_{metric}_std"] for line in lines]
        axes.barh(np.arange(len(lines)) + offset, means, 0.38, xerr=stds, label=metric)
    axes.set_yticks(range(len(lines)), [line.features for line in lines])
    axes.invert_yaxis()
    axes.set_xlabel("accuracy of nearest neighbours, %")
    axes.set_title(title, fontsize="medium")
    axes.legend()
    figure.savefig(path, dpi=120)
