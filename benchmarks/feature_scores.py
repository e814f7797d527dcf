"""Which embedding is good enough to choose with, without labels? Label-free scores against what they foretell.

    python benchmarks/feature_scores.py --data cifar10=cifar10.npz --data cifar20=cifar20.npz [--seeds 20]

Scikit-learn's digits are always among the data sets. For each data set and each kind of features: the label-free scores
of learner.features.quality; the kNN accuracy; and what a logistic regression gains by typiclust instead of random,
with as many labels as classes and twice as many. Then Spearman's rank correlations within each data set and their mean,
with 95 % intervals from a bootstrap over the kinds of features. Writes results/feature_scores.json.
"""

import warnings
from dataclasses import asdict
from itertools import product
from typing import Any

import click
import numpy as np
from machine import save
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from learner import datasets
from learner.acquisition import STRATEGIES
from learner.acquisition.candidates import Candidates, Side
from learner.features import extract, extractor, parse, quality

BACKBONE = "timm:tf_efficientnet_lite0"
KINDS = ("pixels", "pca", "autoencoder", "dec:10", f"random {BACKBONE}@64",
         *(f"{BACKBONE}@{size}" for size in (16, 32, 64, 96, 128, 224)))  # fmt: skip
SCORES = ("recognition", "stability", *quality.SCORES)
TARGETS = ("knn", "gain")
BOOTSTRAP = 2000


def embeddings(kind: str, data: datasets.Dataset) -> tuple[Any, np.ndarray, np.ndarray]:
    """The extractor, and the rows of training and test images."""
    weights, _, text = kind.rpartition(" ")
    fitted = extractor(data.train, parse(text, weights=weights))
    return fitted, extract(fitted, data.train), extract(fitted, data.test)


def measure(kind: str, data: datasets.Dataset, seeds: int) -> dict[str, float]:
    """Everything of one kind of features on one data set."""
    fitted, x, y = embeddings(kind, data)
    number = len(data.classes)
    found = {name: score(x, number) for name, score in quality.SCORES.items()}
    found |= asdict(quality.altered(data.train, fitted))
    found["knn"] = quality.knn_accuracy(x, data.train_classes, y, data.test_classes, metric="cosine").mean
    accuracies = {(name, labels): [accuracy(name, labels, seed, data, x, y) for seed in range(seeds)]
                  for name, labels in product(("random", "typiclust"), (number, 2 * number))}  # fmt: skip
    for (name, labels), values in accuracies.items():
        found[f"{name} {labels // number} per class"] = float(np.mean(values))
    gains = [np.mean(accuracies["typiclust", n]) - np.mean(accuracies["random", n]) for n in (number, 2 * number)]
    return found | {"gain": float(np.mean(gains))}


def accuracy(name: str, size: int, seed: int, data: datasets.Dataset, x: np.ndarray, y: np.ndarray) -> float:
    """Of a logistic regression on what the strategy asks first."""
    import torch

    side = Side(np.arange(len(x)), embedding=torch.from_numpy(x))
    row = STRATEGIES[name]
    pool = Candidates(side, side.only(np.zeros(len(x), bool)), len(data.classes))
    ids = row.load()(pool, size, np.random.default_rng(seed), row.settings()).ids
    scaler = StandardScaler(with_std=False).fit(x)
    spread = float(np.sqrt(x.var(axis=0).mean())) or 1.0
    classes = data.train_classes[ids]
    if len(np.unique(classes)) < 2:
        return float((data.test_classes == classes[0]).mean())
    model = LogisticRegression(C=1.0, tol=1e-3, max_iter=1000).fit(scaler.transform(x[ids]) / spread, classes)
    return float(model.score(scaler.transform(y) / spread, data.test_classes))


def correlation(rows: list[dict[str, Any]], score: str, target: str, chosen: np.ndarray | None = None) -> float:
    """Spearman's, the mean over data sets; of the kinds of features that are chosen, with repetition."""
    found = []
    for name in dict.fromkeys(row["dataset"] for row in rows):
        mine = [row for row in rows if row["dataset"] == name]
        mine = mine if chosen is None else [mine[i] for i in chosen]
        found.append(float(spearmanr([row[score] for row in mine], [row[target] for row in mine]).statistic))
    return float(np.mean(found))


def interval(rows: list[dict[str, Any]], score: str, target: str) -> tuple[float, float]:
    """95 %, by drawing kinds of features anew."""
    rng, number = np.random.default_rng(0), len({row["features"] for row in rows})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a draw of equal ones there is no correlation
        drawn = [correlation(rows, score, target, rng.integers(number, size=number)) for _ in range(BOOTSTRAP)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    lines = ["| data | features | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for row in rows:
        lines.append(f"| {row['dataset']} | {row['features']} | " + " | ".join(f"{row[c]:.3f}" for c in columns) + " |")
    return "\n".join(lines)


@click.command()
@click.option("--data", "named", multiple=True, metavar="NAME=FILE", help="A NumPy file; again for each.")
@click.option("--seeds", default=20, show_default=True)
@click.option("--kind", "kinds", multiple=True, default=KINDS)
@click.option("--name", "result", default="feature_scores", show_default=True, help="Of the file of results.")
@click.option("--save/--no-save", "keep", default=True, show_default=True)
def main(named: tuple[str, ...], seeds: int, kinds: tuple[str, ...], result: str, keep: bool) -> None:
    sets = {"digits": "digits"} | {name: f"npz:{file}" for name, _, file in (text.partition("=") for text in named)}
    rows: list[dict[str, Any]] = []
    with threadpool_limits(1, "openmp"):
        for name, text in sets.items():
            data = datasets.load(text)
            for kind in kinds:
                rows.append({"dataset": name, "features": kind, **measure(kind, data, seeds)})
                print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    print(table(rows, (*SCORES, *TARGETS)))
    found = {}
    print("\n| score | " + " | ".join(f"against {target}" for target in TARGETS) + " |\n|---|---|---|")
    for score in (*SCORES, "knn"):
        for target in TARGETS:
            low, high = interval(rows, score, target)
            found[f"{score} against {target}"] = {"mean": correlation(rows, score, target), "low": low, "high": high}
        cells = [found[f"{score} against {target}"] for target in TARGETS]
        print(
            f"| {score} | "
            + " | ".join(f"{c['mean']:+.2f} ({c['low']:+.2f} to {c['high']:+.2f})" for c in cells)
            + " |"
        )
    if keep:
        print(save(result, {"seeds": seeds, "correlations": found, "rows": rows}))


if __name__ == "__main__":
    main()
