"""How many labels the digits need: both methods, what chooses, accuracy on the held-out half, seconds per round.

    python benchmarks/digits.py [--seeds 20] [--method propagate --method basic] [--processes 2]

Prints Markdown tables and writes results/digits-METHOD.json. Every seed draws its own half for testing.
"""

import time
from multiprocessing import get_context

import click
from machine import save

from learner.acquisition import STRATEGIES
from learner.benchmark.summary import curves
from learner.config import Choice, LoopSettings
from learner.simulate import Cell, run_cell
from learner.training import METHODS

BUDGETS = (10, 20, 50, 100, 200)
# (strategy, what chooses the first ten); "typiclust" begins with itself
ARMS = (
    ("random", "random"),
    ("typiclust", "typiclust"),
    ("margin", "random"),
    ("bald", "random"),
    ("margin", "typiclust"),
    ("bald", "typiclust"),
)


def cell(method: str, arm: tuple[str, str], seed: int) -> Cell:
    strategy, start = arm
    settings = LoopSettings(budgets=BUDGETS, cold_start=start, tail_size=0, full_query_only=True, seed=seed)
    chosen = Choice(strategy, STRATEGIES[strategy].settings())
    return Cell("digits", Choice(method, METHODS[method].settings()), chosen, settings)


def run(arguments: tuple[str, tuple[str, str], int]) -> list[dict]:
    """One cell on one thread: the pool has a process for each core."""
    import torch

    torch.set_num_threads(1)
    return run_cell(cell(*arguments))


def name(arm: tuple[str, str]) -> str:
    strategy, start = arm
    return strategy if start in ("random", strategy) else f"{start}, then {strategy}"


def table(rows: list[dict]) -> str:
    found = curves(rows, ("strategy", "cold_start"))
    seconds = curves([r | {"s": r["train_seconds"] + r["predict_seconds"] + r["select_seconds"]} for r in rows],
                     ("strategy", "cold_start"), "s")  # fmt: skip
    lines = [
        "| chosen by | " + " | ".join(map(str, BUDGETS)) + " | seconds a round |",
        "|---" * (len(BUDGETS) + 2) + "|",
    ]
    for arm in ARMS:
        points = found[arm]
        cells = [f"{100 * p.mean:.1f} ± {100 * p.std:.1f}" for p in points]
        mean = sum(p.mean for p in seconds[arm]) / len(seconds[arm])
        lines.append(f"| {name(arm)} | " + " | ".join(cells) + f" | {mean:.2f} |")
    return "\n".join(lines)


@click.command()
@click.option("--seeds", default=20, show_default=True)
@click.option("--method", "methods", multiple=True, default=["propagate", "basic"], show_default=True)
@click.option("--processes", default=2, show_default=True)
def main(seeds: int, methods: list[str], processes: int) -> None:
    for method in methods:
        started = time.time()
        jobs = [(method, arm, seed) for seed in range(seeds) for arm in ARMS]
        with get_context("spawn").Pool(processes) as pool:
            rows = [row for found in pool.imap(run, jobs) for row in found]
        print(f"\n{method}, {seeds} seeds, {time.time() - started:.0f} s in all\n\n{table(rows)}", flush=True)
        small = [{k: v for k, v in row.items() if k != "settings"} for row in rows]
        print(save(f"digits-{method}", {"seeds": seeds, "settings": rows[0]["settings"], "rows": small}))


if __name__ == "__main__":
    main()
