"""`annotator simulate`: drives the cells of a study through an engine. `simulated` says what came out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from annotator.progress import Bars, bar_names
from annotator.tracking import Tracker
from learner import datasets
from learner.benchmark.absent import absent as find_absent
from learner.benchmark.content import with_content
from learner.benchmark.engines import ENGINES, Finished, Kept, Report
from learner.benchmark.engines.play import play
from learner.benchmark.run import RESULTS, Run, read
from learner.benchmark.study import Study
from learner.errors import LearnerError
from learner.events import Event, RoundKept
from learner.registry import lookup
from learner.settings import resolve
from learner.simulate import Cell

Rows = list[dict[str, Any]]
Engine = Callable[[Sequence[Cell], Report, Kept], Iterable[Finished]]


@dataclass(frozen=True)
class How:
    """How a study is run; nothing here changes a row."""

    engine: str = "serial"
    engine_settings: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False  # compute again what is finished
    bar: bool = True
    command: str = ""
    track: str = ""  # "mlflow"
    tracking: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a study left: rows in the order of its cells, and what could not be measured, with the reason."""

    study: Study
    folder: Path
    rows: Rows
    missing: list[tuple[str, str]]
    command: str = ""  # that made it, for the pictures
    untracked: Sequence[tuple[str, str]] = ()  # what could not be logged, with the reason


def simulate(study: Study, folder: Path, how: How, dataset: datasets.Dataset | None = None) -> Outcome:
    """Run every cell that is not finished. LearnerError where nothing at all could be measured.

    With `dataset` all cells are of it, and run here.
    """
    settings: Any = resolve(lookup("engine", ENGINES, how.engine).settings, how.engine_settings)
    tracker = Tracker(how.track, how.tracking)
    study = replace(study, cells=with_content(study.cells, has_data=dataset is not None))
    absent = find_absent(study.cells, has_data=dataset is not None)
    if all(cell.key in absent for cell in study.cells) and not read(folder / RESULTS):
        raise LearnerError(next(iter(absent.values()), "the study has no cells"))
    run = Run(folder)
    if how.force:
        run.again(cell for cell in study.cells if cell.key not in absent)
    todo = [cell for cell in study.cells if not run.has(cell)]
    missing = [(named(cell), absent[cell.key]) for cell in todo if cell.key in absent]
    todo = [cell for cell in todo if cell.key not in absent]
    _describe(run, study, how, missing)
    tracker.catch_up(run, study.cells)
    there = len(study.cells) - len(missing)  # what cannot be run would keep the bar from its end
    with Bars(there, there - len(todo), how.bar) as bars:
        missing += _drive(run, todo, tracker, bars, _engine(how, settings, dataset))
    _describe(run, study, how, missing)
    rows = run.rows(study.cells)
    if not rows:
        raise LearnerError(missing[0][1] if missing else "the study has no cells")
    untracked = [(named(cell), reason) for cell, reason in tracker.failed]
    return Outcome(study, folder, rows, missing, how.command, untracked)


def _describe(run: Run, study: Study, how: How, missing: list[tuple[str, str]]) -> None:
    """What the folder says of itself, from the beginning on."""
    facts = {"title": study.title, "question": study.question, "value": study.value, "command": how.command}
    keys = {"cells": len(study.cells), "cell_keys": [cell.key for cell in study.cells]}
    run.describe(facts | keys, missing)


def _engine(how: How, settings: Any, dataset: datasets.Dataset | None) -> Engine:
    """A function of cells, of who listens, and of what was kept."""
    if dataset is not None:
        return partial(_of, dataset)
    engine = lookup("engine", ENGINES, how.engine).load()
    return lambda cells, report, kept: engine(cells, report, settings, kept)


def _of(dataset: datasets.Dataset, cells: Sequence[Cell], report: Report, kept: Kept) -> Iterator[Finished]:
    """The serial engine with a data set that has no name to load it by."""
    for index, cell in enumerate(cells):
        yield play(index, cell, report, kept(index), dataset)


def named(cell: Cell) -> str:
    """A cell in a few words."""
    told = cell.describe()
    words = [told[key] for key in ("dataset", "method", "preset", "features", "strategy")]
    return ", ".join([word for word in words if word] + [f"seed {cell.settings.seed}"])


def _drive(run: Run, cells: Sequence[Cell], tracker: Tracker, bars: Bars, engine: Engine) -> Iterator[tuple[str, str]]:
    """Every cell through the engine, on disk as soon as it is whole; the failed ones with their reasons."""
    called = bar_names(cells)

    def hear(index: int, event: Event) -> None:
        if isinstance(event, RoundKept):
            run.keep(cells[index], event)
        bars.show(called[index], event)

    for finished in engine(cells, hear, lambda index: run.kept(cells[index])) if cells else ():
        cell = cells[finished.index]
        if finished.rows:
            run.add(cell, finished.rows)
            tracker.add(cell, finished.rows)
        bars.finish(called[finished.index])
        if finished.error:
            stands = "; its rows from before stand" if run.had(cell) else ""
            yield named(cell), finished.error + stands
