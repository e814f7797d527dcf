"""What a simulation found: tables for a terminal, the same for programs, and pictures."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.table import Table

from annotator.simulating import Outcome, Rows
from learner.acquisition import is_oracle
from learner.benchmark.groups import by_model, by_setting
from learner.benchmark.plot import plot_curves, plot_selection
from learner.benchmark.report.page import heading, main_value
from learner.benchmark.run import RESULTS
from learner.benchmark.statistics import Comparison, compare, left_out, paired
from learner.benchmark.summary import Point, curves, spelled
from learner.errors import LearnerError

PICTURES = re.compile(r"(curves|selection)(-\d+)?\.png")
LISTED = 3  # runs that are missing for one reason


def pictures(outcome: Outcome) -> list[Path]:
    """Learning curves and what was asked, for each setting. Those of earlier commands go: they are of other cells."""
    made = []
    groups = by_setting(outcome.rows)
    for number, (name, rows) in enumerate(groups.items(), 1):
        seeds = len({row["seed"] for row in rows})
        found, value = _curves(outcome, rows)
        suffix = f"-{number}" if len(groups) > 1 else ""
        paths = [outcome.folder / f"curves{suffix}.png", outcome.folder / f"selection{suffix}.png"]
        title = heading(f"{name}, {seeds} seeds", outcome.command)
        plot_curves(found, paths[:1], title, value)
        plot_selection(rows, paths[1:], f"what was asked: {title}")
        made += paths
    for path in outcome.folder.glob("*.png"):
        if path not in made and PICTURES.fullmatch(path.name):
            path.unlink()
    return made


def differences(outcome: Outcome) -> dict[str, list[Comparison]]:
    """Every strategy against random, else against the first one, in each setting where all share two seeds."""
    return _compared(outcome)[0]


def _compared(outcome: Outcome) -> tuple[dict[str, list[Comparison]], dict[str, str]]:
    """The differences of each setting, and what was left out of them, or why there are none.

    Not oracles: what nobody can choose is no rival.
    """
    found, without = {}, {}
    for name, every in by_setting(outcome.rows).items():
        shared, seeds, others = paired(every)
        if others:
            without[name] = left_out(others)
        rows = [row for row in shared if not is_oracle(str(row["strategy"]))]
        names = list(dict.fromkeys(str(row["strategy"]) for row in rows))
        if len(names) > 1 and len(seeds) > 1:
            try:
                reference = "random" if "random" in names else names[0]
                found[name] = compare(rows, reference, value=_value(outcome, rows))
            except LearnerError as error:  # no budget in common, for one: the tables stand without it
                without[name] = str(error)
    return found, without


def _value(outcome: Outcome, rows: Rows) -> str:
    """What is compared."""
    return outcome.study.value or main_value(rows)


def told(outcome: Outcome) -> str:
    """The tables as text; comparison.json has every budget."""
    parts: list[str] = []
    compared, without = _compared(outcome)
    path = _keep(outcome, compared)
    settings = by_setting(outcome.rows)
    for name, rows in settings.items():
        found, value = _curves(outcome, rows)
        parts.append(_table(found, value, name if len(settings) > 1 else ""))
        if name in compared:
            parts.append(_differences(compared[name]))
    for name, models in by_model(outcome.rows).items():
        found, value = _curves(outcome, models.rows, "model")
        parts.append(_table(found, value, f"models: {name}"))
    if compared:
        parts.append(f"Every budget is in {path}.")
    parts += [f"not compared: {name}: {what}" for name, what in without.items()]
    parts += _listed("not measured", outcome.missing)
    parts += _listed("not logged", outcome.untracked)
    return "\n".join(parts)


def _curves(outcome: Outcome, rows: Rows, by: str = "strategy") -> tuple[dict[str, list[Point]], str]:
    """A curve for each strategy or model, and of what."""
    value = _value(outcome, rows)
    return {str(key[0]): points for key, points in curves(rows, (by,), value).items()}, value


def _keep(outcome: Outcome, compared: Mapping[str, list[Comparison]]) -> Path:
    """The differences as a file beside the rows; none where there are none."""
    path = outcome.folder / "comparison.json"
    if not compared:
        path.unlink(missing_ok=True)
        return path
    items = [{"setting": name} | asdict(item) for name, found in compared.items() for item in found]
    path.write_text(json.dumps(items, indent=2) + "\n")
    return path


def _listed(said: str, missing: Sequence[tuple[str, str]]) -> Iterator[str]:
    """A line for each run, but one for many with the same reason; run.json and the report name them all."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in missing:
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        few = names if len(names) <= LISTED else [f"{len(names)} runs, the first of them {names[0]}"]
        yield from (f"{said}: {name}: {reason}" for name in few)


def as_json(outcome: Outcome) -> str:
    """The same for programs."""
    found = {name: _curves(outcome, rows)[0] for name, rows in by_setting(outcome.rows).items()}
    models = {name: _curves(outcome, group.rows, "model")[0] for name, group in by_model(outcome.rows).items()}
    compared, without = _compared(outcome)
    _keep(outcome, compared)
    return json.dumps(
        {
            "title": outcome.study.title,
            "results": str(outcome.folder / RESULTS),
            "curves": _points(found, "strategy"),
            "models": _points(models, "model"),
            "differences": {name: [asdict(item) for item in items] for name, items in compared.items()},
            "not_compared": without,
            "missing": [{"cell": name, "reason": reason} for name, reason in outcome.missing],
            "not_logged": [{"cell": name, "reason": reason} for name, reason in outcome.untracked],
        },
        indent=2,
    )


def _points(found: Mapping[str, Mapping[str, Sequence[Point]]], by: str) -> Rows:
    """One line for each point of each curve of each setting."""
    return [
        {"setting": name, by: arm, **asdict(point)}
        for name, arms in found.items()
        for arm, points in arms.items()
        for point in points
    ]


def _table(found: dict[str, list[Point]], value: str, name: str) -> str:
    """Budgets down, strategies or models across: mean ± standard deviation in percent."""
    title = f"{value.replace('_', ' ')} on the test set, %: mean ± standard deviation over seeds"
    table = Table(title=f"{name}\n{title}" if name else title)
    table.add_column("labels", justify="right")
    for strategy in found:
        table.add_column(strategy, justify="right")
    cells = {(strategy, point.labels): point for strategy, points in found.items() for point in points}
    budgets = {point.labels: spelled(point.labels, point.is_all) for point in cells.values()}
    for labels in sorted(budgets):
        row = [cells.get((strategy, labels)) for strategy in found]
        table.add_row(budgets[labels], *(f"{100 * p.mean:.1f} ± {100 * p.std:.1f}" if p else "" for p in row))
    return text(table, max(60, 14 * (len(found) + 1)))


def _differences(found: Sequence[Comparison]) -> str:
    """Against the reference: the whole curve and its end."""
    last = found[-1].labels
    table = Table(title=f"difference to {found[0].reference}, points: paired over {found[0].n} seeds")
    for column in ("strategy", "measured at", "difference", "95 % interval", "effect", "p, Holm"):
        table.add_column(column, justify="left" if column in ("strategy", "measured at") else "right")
    for item in found:
        if item.labels in (None, last):
            table.add_row(*_cells(item))
    return text(table, 90)


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
