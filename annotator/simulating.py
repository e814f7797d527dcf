"""`annotator simulate`: runs cells with a progress bar, writes their rows, a picture and comparisons, makes tables."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from learner import datasets
from learner.acquisition import STRATEGIES
from learner.benchmark.plot import plot_curves, plot_selection
from learner.benchmark.statistics import Comparison, compare
from learner.benchmark.summary import Point, curves
from learner.config import Choice, LoopSettings, resolve
from learner.errors import BadSetting
from learner.events import Event, RoundFinished
from learner.registry import lookup
from learner.simulate import Cell, run_cell
from learner.training import METHODS


def choices(names: Iterable[str], values: dict[str, Any]) -> list[Choice]:
    """Each strategy once, with those of the values that it has a setting for. BadSetting for one that none has."""
    rows = {name: lookup("strategy", STRATEGIES, name) for name in names}
    known = {name: {field.name for field in fields(row.settings)} for name, row in rows.items()}
    unknown = [key for key in values if not any(key in has for has in known.values())]
    if unknown:
        every = sorted(set[str]().union(*known.values()))
        raise BadSetting(
            f"none of {', '.join(rows)} has a setting {unknown[0]!r}; together they have {', '.join(every) or 'none'}"
        )
    return [
        Choice(name, resolve(row.settings, {key: value for key, value in values.items() if key in known[name]}))
        for name, row in rows.items()
    ]


def simulate(
    dataset: str,
    method: str,
    method_settings: dict[str, Any],
    strategies: Sequence[Choice],
    seeds: Iterable[int],
    settings: LoopSettings,
    out: Path,
    *,
    bar: bool = True,
) -> str:
    """Every strategy with every seed; returns the tables as text. LearnerError before anything is written or run."""
    datasets.load(dataset)
    chosen = Choice(method, resolve(lookup("method", METHODS, method).settings, method_settings))
    cells = [Cell(dataset, chosen, strategy, replace(settings, seed=seed)) for seed in seeds for strategy in strategies]
    out.mkdir(parents=True, exist_ok=True)
    rows = list(_run(cells, out / "results.jsonl", bar))
    found = {str(key[0]): points for key, points in curves(rows).items()}
    plot_curves(found, out / "curves.png", f"{dataset}, {method}, {len({c.settings.seed for c in cells})} seeds")
    plot_selection(rows, out / "selection.png", f"what was asked: {dataset}, {method}")
    parts = [_table(found)]
    if len(found) > 1 and len({cell.settings.seed for cell in cells}) > 1:
        parts.append(_differences(rows, out / "comparison.json"))
    return "\n".join([*parts, f"{out / 'results.jsonl'}, {out / 'curves.png'} and {out / 'selection.png'} written"])


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
    return text(table, max(60, 14 * (len(found) + 1)))


def _differences(rows: list[dict[str, Any]], path: Path) -> str:
    """Every strategy against random, else against the first: the whole curve and its end. Everything goes to `path`."""
    names = list(dict.fromkeys(str(row["strategy"]) for row in rows))
    reference = "random" if "random" in names else names[0]
    found = compare(rows, reference)
    path.write_text(json.dumps([asdict(item) for item in found], indent=2) + "\n")
    last = found[-1].labels
    table = Table(title=f"difference to {reference}, points: paired over {found[0].n} seeds")
    for column in ("strategy", "measured at", "difference", "95 % interval", "effect", "p, Holm"):
        table.add_column(column, justify="left" if column in ("strategy", "measured at") else "right")
    for item in found:
        if item.labels in (None, last):
            table.add_row(*_cells(item))
    return f"{text(table, 90)}\nEvery budget is in {path}."


def _cells(item: Comparison) -> tuple[str, ...]:
    """A line of the table of differences."""
    return (
        item.arm,
        "whole curve" if item.labels is None else f"{item.labels} labels",
        f"{100 * item.mean:+.1f}",
        f"{100 * item.low:+.1f} to {100 * item.high:+.1f}",
        "" if item.effect is None else f"{item.effect:+.1f}",
        f"{item.p_holm:.3f}",
    )


def text(table: Table, width: int) -> str:
    """As it stands in a terminal of this width."""
    file = StringIO()
    Console(file=file, width=width).print(table)
    return file.getvalue().rstrip()
