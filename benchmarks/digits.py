"""How many labels the digits need: each method, what chooses, accuracy on the held-out half, seconds per round.

    python benchmarks/digits.py [--seeds 20] [--method propagate --method basic] [--arm typiclust ...] [--processes 2]

Prints Markdown tables and writes results/digits-METHOD.json. Every seed draws its own half for testing. `--features`
says what `frozen` and `propagate` see, and is then part of the file's name.
"""

import re
import time
from multiprocessing import get_context

import click
from machine import save

from learner.acquisition import STRATEGIES
from learner.benchmark.summary import curves
from learner.config import LoopSettings
from learner.settings import Choice, resolve
from learner.simulate import Cell, run_cell
from learner.training import METHODS

BUDGETS = (10, 20, 50, 100, 200)
KEPT = (
    "dataset", "method", "strategy", "cold_start", "seed", "round", "labels", "accuracy", "balanced_accuracy",
    "labels_per_class", "train_seconds", "predict_seconds", "select_seconds",
)  # fmt: skip
Job = tuple[str, str, tuple[int, ...], tuple[str, str], int]  # method, features, budgets, arm, seed
# (strategy, what chooses the first ten); "typiclust" begins with itself
ARMS = (
    ("random", "random"),
    ("typiclust", "typiclust"),
    ("margin", "random"),
    ("bald", "random"),
    ("margin", "typiclust"),
    ("bald", "typiclust"),
)


def cell(method: str, features: str, budgets: tuple[int, ...], arm: tuple[str, str], seed: int) -> Cell:
    strategy, start = arm
    settings = LoopSettings(budgets=budgets, cold_start=start, tail_size=0, full_query_only=True, seed=seed)
    chosen = Choice(strategy, STRATEGIES[strategy].settings())
    learned = resolve(METHODS[method].settings, {"features": features} if features else {})
    return Cell("digits", Choice(method, learned), chosen, settings)


def run(job: Job) -> list[dict]:
    """One cell on one thread: the pool has a process for each core."""
    import torch

    torch.set_num_threads(1)
    return run_cell(cell(*job))


def name(arm: tuple[str, str]) -> str:
    strategy, start = arm
    return strategy if start in ("random", strategy) else f"{start}, then {strategy}"


def table(rows: list[dict]) -> str:
    found = curves(rows, ("strategy", "cold_start"))
    seconds = curves([r | {"s": r["train_seconds"] + r["predict_seconds"] + r["select_seconds"]} for r in rows],
                     ("strategy", "cold_start"), "s")  # fmt: skip
    budgets = [point.labels for point in next(iter(found.values()))]
    lines = [
        "| chosen by | " + " | ".join(map(str, budgets)) + " | seconds a round |",
        "|---" * (len(budgets) + 2) + "|",
    ]
    for arm in filter(found.get, ARMS):
        cells = [f"{100 * p.mean:.1f} ± {100 * p.std:.1f}" for p in found[arm]]
        mean = sum(p.mean for p in seconds[arm]) / len(seconds[arm])
        lines.append(f"| {name(arm)} | " + " | ".join(cells) + f" | {mean:.2f} |")
    return "\n".join(lines)


@click.command()
@click.option("--seeds", default=20, show_default=True)
@click.option("--method", "methods", multiple=True, default=["propagate", "basic"], show_default=True)
@click.option("--arm", "arms", multiple=True, type=click.Choice([name(arm) for arm in ARMS]), help="Again for each.")
@click.option("--most", default=BUDGETS[-1], show_default=True, help="Labels at the end.")
@click.option("--features", default="", help="What the method sees.")
@click.option("--processes", default=2, show_default=True)
def main(seeds: int, methods: list[str], arms: list[str], most: int, features: str, processes: int) -> None:
    chosen = [arm for arm in ARMS if not arms or name(arm) in arms]
    budgets = tuple(budget for budget in BUDGETS if budget <= most)
    for method in methods:
        started = time.time()
        jobs = [(method, features, budgets, arm, seed) for seed in range(seeds) for arm in chosen]
        with get_context("spawn").Pool(processes) as pool:
            rows = [row for found in pool.imap(run, jobs) for row in found]
        print(f"\n{method}, {seeds} seeds, {time.time() - started:.0f} s in all\n\n{table(rows)}", flush=True)
        small = [{key: row[key] for key in KEPT} for row in rows]
        file = re.sub(r"[^\w-]+", "-", f"digits-{method}" + (f"-{features}" if features else ""))
        print(save(file, {"seeds": seeds, "settings": rows[0]["settings"], "rows": small}))


if __name__ == "__main__":
    main()
