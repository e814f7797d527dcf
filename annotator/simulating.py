"""`annotator simulate`: runs cells with a progress bar, writes results.jsonl and curves.png, makes the table."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from learner import datasets
from learner.acquisition import STRATEGIES
from learner.benchmark.plot import plot_curves
from learner.benchmark.summary import Point, curves
from learner.config import Choice, LoopSettings, resolve
from learner.events import Event, RoundFinished
from learner.registry import lookup
from learner.simulate import Cell, run_cell
from learner.training import METHODS


def simulate(
    dataset: str,
    method: str,
    method_settings: dict[str, Any],
    strategies: Sequence[str],
    seeds: Iterable[int],
    settings: LoopSettings,
    out: Path,
    *,
    bar: bool = True,
) -> str:
    """Every strategy with every seed; returns the tables as text. LearnerError before anything is written or run."""
    datasets.load(dataset)
    chosen = Choice(method, resolve(lookup("method", METHODS, method).settings, method_settings))
    cells = [
        Cell(
            dataset,
            chosen,
            Choice(name, lookup("strategy", STRATEGIES, name).settings()),
            replace(settings, seed=seed),
        )
        for seed in seeds
        for name in dict.fromkeys(strategies)
    ]
    out.mkdir(parents=True, exist_ok=True)
    rows = list(_run(cells, out / "results.jsonl", bar))
    found = {str(key[0]): points for key, points in curves(rows).items()}
    plot_curves(found, out / "curves.png", f"{dataset}, {method}, {len({c.settings.seed for c in cells})} seeds")
    return f"{_table(found)}\n{out / 'results.jsonl'} and {out / 'curves.png'} written"


def _run(cells: Sequence[Cell], path: Path, bar: bool) -> Iterator[dict[str, Any]]:
    """The rows of every cell, written as soon as their cell is complete."""
    with path.open("w") as file, _progress(bar) as progress:
        task = progress.add_task("simulating", total=len(cells))
        for cell in cells:
            name = f"{cell.strategy.name}, seed {cell.settings.seed}"

            def show(event: Event, name: str = name) -> None:
                if isinstance(event, RoundFinished):
                    progress.update(task, description=f"{name}: {event.labels} labels")

            rows = run_cell(cell, show)
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
            progress.advance(task)
            yield from rows


@contextmanager
def _progress(bar: bool) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not bar) as progress:
        yield progress


def _table(found: dict[str, list[Point]]) -> str:
    """Budgets down, strategies across: mean ± standard deviation of the accuracy in percent."""
    table = Table(title="accuracy on the test set, %: mean ± standard deviation over seeds")
    table.add_column("labels", justify="right")
    for name in found:
        table.add_column(name, justify="right")
    cells = {(name, point.labels): point for name, points in found.items() for point in points}
    for labels in sorted({labels for _, labels in cells}):
        row = [cells.get((name, labels)) for name in found]
        table.add_row(str(labels), *(f"{100 * p.mean:.1f} ± {100 * p.std:.1f}" if p else "" for p in row))
    text = StringIO()
    Console(file=text, width=max(60, 14 * (len(found) + 1))).print(table)
    return text.getvalue().rstrip()
