"""What choosing is worth: strategies on a frozen backbone, few labels of CIFAR-10, paired by seed.

    python benchmarks/selection.py --data cifar10.npz [--images 10000] [--seeds 20] [--processes 2] [--modified]

The file has x_train, y_train, x_test, y_test. The first so many training images are the pool, the first fifth of that
number of the test the exam. Strategies that need a model begin with the same random images as `random`; "a > b" begins
with a and goes on with b. `--modified` keeps a tenth of half of the classes and compares balanced accuracies. Writes
results/selection[-modified].json; rows of a run that was stopped are kept in --rows and not computed again.
"""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np
from cifar_frozen import BACKBONE, subset
from machine import device, save, today

from learner import datasets
from learner.acquisition import STRATEGIES
from learner.benchmark.statistics import compare
from learner.benchmark.summary import curves
from learner.config import LoopSettings
from learner.settings import Choice, resolve
from learner.simulate import Cell, run_cell
from learner.training import METHODS

BUDGETS = (10, 20, 40, 70, 100, 200, 500)
ARMS = (
    "random", "kmeans", "coreset", "typiclust", "probcover", "max_herding", "rdss",
    "margin", "badge", "bait", "dropquery",
    "typiclust > margin", "typiclust > bait", "typiclust > badge", "auto",
)  # fmt: skip
SIZE = 224
Job = tuple[str, str, str, int]  # data set, method, arm, seed
LOADED: dict[tuple[str, int], datasets.Dataset] = {}


def loaded(name: str, seed: int) -> datasets.Dataset:
    """Once in a process: embeddings and graph stay with it."""
    key = (name, seed if "@modified" in name else 0)
    if key not in LOADED:
        LOADED.clear()
        LOADED[key] = datasets.load(name, key[1])
    return LOADED[key]


def cell(dataset: str, method: str, arm: str, seed: int) -> Cell:
    start, _, strategy = arm.rpartition(" > ")
    settings = LoopSettings(
        budgets=BUDGETS, cold_start=start or "random", tail_size=0, full_query_only=True, duplicates=1.0, seed=seed
    )
    chosen = resolve(METHODS[method].settings, {"features": f"timm:{BACKBONE}@{SIZE}"})
    return Cell(dataset, Choice(method, chosen), Choice(strategy, STRATEGIES[strategy].settings()), settings)


def run(job: Job) -> list[dict[str, Any]]:
    """One run on one thread: there is a process for each core."""
    import torch

    torch.set_num_threads(1)
    dataset, method, arm, seed = job
    rows = run_cell(cell(*job), dataset=loaded(dataset, seed))
    kept = ("labels", "accuracy", "balanced_accuracy", "seed")
    made = {"method": method, "strategy": arm, "device": device(), "date": today()}
    return [{key: row[key] for key in kept} | evenness(row["labels_per_class"]) | made for row in rows]


def evenness(labels_per_class: list[int]) -> dict[str, float]:
    """How many classes have a label, and how far their shares are from equal ones (total variation)."""
    counts = np.array(labels_per_class)
    shares = counts / counts.sum()
    return {"classes": int((counts > 0).sum()), "tv": float(np.abs(shares - 1 / len(counts)).sum() / 2)}


def made_on(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Which seeds were computed on which device and day: a run may be stopped and go on elsewhere."""
    seeds: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        seeds.setdefault((row["date"], row["device"]), set()).add(row["seed"])
    return [{"date": date, "device": name, "seeds": sorted(found)} for (date, name), found in sorted(seeds.items())]


def table(rows: list[dict[str, Any]], value: str, scale: float = 100, digits: int = 1) -> str:
    """A line for each strategy, a column for each budget."""
    found = curves(rows, ("strategy",), value)
    lines = ["| chosen by | " + " | ".join(map(str, BUDGETS)) + " |", "|---" * (len(BUDGETS) + 1) + "|"]
    for arm in (arm for arm in ARMS if (arm,) in found):
        points = {p.labels: f"{scale * p.mean:.{digits}f} ± {scale * p.std:.{digits}f}" for p in found[arm,]}
        lines.append(f"| {arm} | " + " | ".join(points.get(budget, "") for budget in BUDGETS) + " |")
    return "\n".join(lines)


def against_random(rows: list[dict[str, Any]], value: str) -> str:
    """Differences to random in points, with stars where Holm's correction over all of them leaves p < 0.05."""
    found = {(item.arm, item.labels): item for item in compare(rows, "random", value=value)}
    lines = ["| minus random | " + " | ".join(map(str, BUDGETS)) + " |", "|---" * (len(BUDGETS) + 1) + "|"]
    for arm in (arm for arm in ARMS if any(arm == other for other, _ in found)):
        items = [found.get((arm, budget)) for budget in BUDGETS]
        cells = [
            f"{100 * i.mean:+.1f}{' *' if i.p_holm < 0.05 else ''} ({i.effect or 0:+.1f})" if i else "" for i in items
        ]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--images", default=10_000, show_default=True)
@click.option("--seeds", default=20, show_default=True)
@click.option("--method", "methods", multiple=True, default=("frozen", "propagate"), show_default=True)
@click.option("--arm", "arms", multiple=True, default=ARMS, help="Again for each.")
@click.option("--modified", is_flag=True)
@click.option("--processes", default=2, show_default=True)
@click.option(
    "--rows", "kept", type=click.Path(path_type=Path), default=Path("runs/selection.jsonl"), show_default=True
)
@click.option("--save/--no-save", "keep", default=True, show_default=True)
def main(
    data: Path, images: int, seeds: int, methods: tuple[str, ...], arms: tuple[str, ...], modified: bool,
    processes: int, kept: Path, keep: bool,
) -> None:  # fmt: skip
    kept = kept.with_stem(kept.stem + "-modified") if modified else kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    have = {(row["method"], row["strategy"], row["seed"]) for row in rows}
    value = "balanced_accuracy" if modified else "accuracy"
    with tempfile.TemporaryDirectory() as folder:
        dataset = subset(data, images, Path(folder)) + ("@modified" if modified else "")
        jobs = [(dataset, method, arm, seed) for seed, method, arm in product(range(seeds), methods, arms)
                if (method, arm, seed) not in have]  # fmt: skip
        with get_context("spawn").Pool(processes) as pool, kept.open("a") as file:
            for found in pool.imap_unordered(run, jobs):
                file.writelines(json.dumps(row) + "\n" for row in found)
                file.flush()
                rows += found
    made = [row for row in rows if row["seed"] < seeds and row["method"] in methods]
    rows = [{key: value for key, value in row.items() if key not in ("device", "date")} for row in made]
    comparisons = {}
    for method in methods:
        mine = [row for row in rows if row["method"] == method]
        print(f"\n{method}, {value}, %\n\n{table(mine, value)}")
        if seeds > 1 and {"random"} < set(arms):
            print(f"\n{against_random(mine, value)}")
            comparisons[method] = [asdict(item) for item in compare(mine, "random", value=value)]
    mine = [row for row in rows if row["method"] == methods[0]]
    print(f"\nclasses that have a label\n\n{table(mine, 'classes', 1)}")
    print(f"\ntotal variation distance to equal classes\n\n{table(mine, 'tv', 1, 2)}")
    if keep:
        setup = {"images": images, "seeds": seeds, "backbone": BACKBONE, "size": SIZE, "value": value,
                 "measured": made_on(made)}  # fmt: skip
        print(
            save(
                "selection-modified" if modified else "selection",
                setup | {"against_random": comparisons, "rows": rows},
            )
        )


if __name__ == "__main__":
    main()
