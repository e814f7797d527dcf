"""Few labels of CIFAR-10 on a frozen backbone: accuracy by labels, method, choice and input size.

    python benchmarks/cifar_frozen.py --data cifar10.npz [--images 10000] [--seeds 20] [--processes 2]

The file has x_train, y_train, x_test, y_test. The first so many training images are the pool, the first fifth of that
number of the test the exam. Embeddings are computed once and kept (see docs/learning.md). Prints a table and writes
results/cifar_frozen.json; rows of a run that was stopped are kept in --rows and not computed again.
"""

import json
import tempfile
import time
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np
from machine import save

from learner import datasets
from learner.acquisition import STRATEGIES
from learner.benchmark.summary import curves
from learner.config import LoopSettings
from learner.features import embed, parse
from learner.settings import Choice, resolve
from learner.simulate import Cell, run_cell
from learner.training import METHODS

BUDGETS = {"random": (10, 20, 50, 100, 200, 500, 1000), "typiclust": (10, 20, 50, 100)}
BACKBONE = "tf_efficientnet_lite0"
SIZES = (32, 224)
KEPT = (
    "method", "strategy", "seed", "labels", "accuracy", "balanced_accuracy", "train_seconds", "predict_seconds",
    "select_seconds",
)  # fmt: skip
Job = tuple[str, str, int, str, int]


def subset(data: Path, images: int, folder: Path) -> str:
    """The name of a data set of the first images."""
    with np.load(data) as found:
        parts = {f"{xy}_{part}": found[f"{xy}_{part}"][: images if part == "train" else images // 5]
                 for xy, part in product("xy", ("train", "test"))}  # fmt: skip
    np.savez(folder / "subset.npz", **parts)
    return f"npz:{folder / 'subset.npz'}"


def cell(dataset: str, method: str, size: int, strategy: str, seed: int) -> Cell:
    settings = LoopSettings(
        budgets=BUDGETS[strategy], cold_start="random", tail_size=0, full_query_only=True, seed=seed
    )
    chosen = resolve(METHODS[method].settings, {"features": f"timm:{BACKBONE}@{size}"})
    return Cell(dataset, Choice(method, chosen), Choice(strategy, STRATEGIES[strategy].settings()), settings)


def run(job: Job) -> list[dict]:
    """One run on one thread: there is a process for each core."""
    import torch

    torch.set_num_threads(1)
    return [{"size": job[2]} | {key: row[key] for key in KEPT} for row in run_cell(cell(*job))]


def table(rows: list[dict]) -> str:
    """A line for each way, a column for each budget."""
    found = curves(rows, ("size", "method", "strategy"))
    budgets = BUDGETS["random"]
    lines = ["| input, method, chosen by | " + " | ".join(map(str, budgets)) + " |", "|---" * (len(budgets) + 1) + "|"]
    for (size, method, strategy), points in sorted(found.items()):
        cells = {p.labels: f"{100 * p.mean:.1f} ± {100 * p.std:.1f}" for p in points}
        lines.append(f"| {size} px, {method}, {strategy} | " + " | ".join(cells.get(b, "") for b in budgets) + " |")
    return "\n".join(lines)


def neighbours(dataset: str, size: int) -> float:
    """kNN accuracy (k = 10, cosine) of the exam among the pool."""
    from sklearn.neighbors import KNeighborsClassifier

    data, features = datasets.load(dataset), parse(f"timm:{BACKBONE}@{size}")
    x, y = embed(data.train, features), embed(data.test, features)
    return float(KNeighborsClassifier(10).fit(x, data.train_classes).score(y, data.test_classes))


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--images", default=10_000, show_default=True)
@click.option("--seeds", default=20, show_default=True)
@click.option("--processes", default=2, show_default=True)
@click.option(
    "--rows", "kept", type=click.Path(path_type=Path), default=Path("runs/cifar_frozen.jsonl"), show_default=True
)
def main(data: Path, images: int, seeds: int, processes: int, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    have = {(row["method"], row["size"], row["strategy"], row["seed"]) for row in done}
    with tempfile.TemporaryDirectory() as folder:
        dataset = subset(data, images, Path(folder))
        started = time.time()
        knn = {f"{size} px": neighbours(dataset, size) for size in SIZES}  # computes what is not kept yet
        print(f"embeddings: {time.time() - started:.0f} s; kNN {knn}", flush=True)
        ways = product(range(seeds), ("random", "typiclust"), SIZES, ("frozen", "propagate"))
        jobs = [(dataset, method, size, strategy, seed) for seed, strategy, size, method in ways
                if (method, size, strategy, seed) not in have]  # fmt: skip
        with get_context("spawn").Pool(processes) as pool, kept.open("a") as file:
            for found in pool.imap(run, jobs):
                file.writelines(json.dumps(row) + "\n" for row in found)
                file.flush()
                done += found
    done = [row for row in done if row["seed"] < seeds]
    print(table(done))
    print(save("cifar_frozen", {"images": images, "seeds": seeds, "backbone": BACKBONE, "knn": knn, "rows": done}))


if __name__ == "__main__":
    main()
