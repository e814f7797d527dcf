"""What a simulation costs beside training, scoring and choosing: a ratio within each run.

    python benchmarks/overhead.py [--seeds 5]

Cells of the digits as `simulate` runs them: the share of a cell's seconds that none of its rounds spent. Loading the
data set, which all cells of a seed share, stands apart. FixMatch takes a tenth of its steps, so that its share is an
upper bound. The first cell of a process also loads modules. Writes results/overhead.json.
"""

import os
import time
from statistics import mean, stdev

import click
from machine import save

from learner import datasets
from learner.benchmark.engines.play import one_thread
from learner.benchmark.study import cells
from learner.simulate import Cell, run_cell

PARTS = ("train_seconds", "predict_seconds", "select_seconds")
GRIDS = {
    "digits, propagate": {"strategy": ["random", "typiclust", "margin", "bald"], "budgets": [10, 20, 50, 100, 200]},
    "digits, basic": {"method": "basic", "strategy": ["random", "margin"], "budgets": [20, 50]},
    "digits, fixmatch, 30 steps": {
        "method": "fixmatch", "strategy": ["random", "typiclust"], "budgets": [20],
        "method_settings": {"fixmatch": {"steps": 30}},
    },
}  # fmt: skip


def overhead(cell: Cell) -> float:
    """Share of the cell's seconds that is none of its rounds'."""
    dataset = datasets.load(cell.dataset, cell.settings.seed)
    began = time.perf_counter()
    rows = run_cell(cell, dataset=dataset)
    whole = time.perf_counter() - began
    return 1 - sum(row[part] for row in rows for part in PARTS) / whole


@click.command()
@click.option("--seeds", default=5, show_default=True)
@click.option("--only", multiple=True, help="A grid by its name; again for each.")
@click.option("--save/--no-save", "keep", default=True, show_default=True)
def main(seeds: int, only: tuple[str, ...], keep: bool) -> None:
    found = {}
    with one_thread():
        for name, grid in GRIDS.items():
            if not only or name in only:
                shares = [overhead(cell) for cell in cells({**grid, "seeds": seeds})]
                found[name] = {"mean": mean(shares), "std": stdev(shares), "cells": len(shares)}
                print(
                    f"| {name} | {100 * mean(shares):.1f} ± {100 * stdev(shares):.1f} % | {len(shares)} |", flush=True
                )
    if keep:
        print(save("overhead", {"seeds": seeds, "load_average": os.getloadavg()[0], "share_of_a_cell": found}))


if __name__ == "__main__":
    main()
