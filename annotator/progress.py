"""Progress of a study in a terminal: one bar for all of it, with the time left, and one for each running cell."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from learner import events
from learner.simulate import Cell

COLUMNS = ("dataset", "method", "preset", "features", "oracle", "cold_start", "query_size")  # beside strategy and seed


def bar_names(cells: Sequence[Cell]) -> list[str]:
    """A name for the bar of each cell, unlike every other one: strategy, seed, and what else tells the cells apart."""
    told = [cell.describe() for cell in cells]
    apart = [column for column in COLUMNS if len({facts[column] for facts in told}) > 1]
    found = [
        ", ".join([str(facts[column]) for column in (*apart, "strategy") if facts[column]] + [f"seed {facts['seed']}"])
        for facts in told
    ]
    times = Counter(found)
    return [name if times[name] == 1 else f"{name} ({place})" for place, name in enumerate(found, 1)]


def _columns() -> tuple[ProgressColumn, ...]:
    return TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()


class Bars:
    """On stderr; silent where nobody looks."""

    def __init__(
        self,
        total: int,
        done: int,
        visible: bool,
        console: Console | None = None,
        get_time: Callable[[], float] = time.monotonic,
    ) -> None:
        shown: dict[str, Any] = {"console": console or Console(stderr=True), "disable": not visible}
        # the speed since the beginning: a cell may take longer than any period that one would choose
        self._progress = Progress(*_columns(), **shown, speed_estimate_period=math.inf, get_time=get_time)
        self._all = self._progress.add_task("cells", total=total, completed=done)
        self._cells: dict[str, TaskID] = {}
        self._done: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        self._progress.advance(self._all, 0)  # from here the time of the first cell counts
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, name: str, event: events.Event) -> None:
        """What a running cell does."""
        if name not in self._cells:
            self._cells[name] = self._progress.add_task(name, total=None)
        if isinstance(event, events.RoundFinished):
            self._progress.update(self._cells[name], description=f"{name}: {event.labels} labels")
        elif isinstance(event, events.Progress):
            if event.done < self._done.get(name, 0):  # something else is counted now, at a speed of its own
                self._progress.reset(self._cells[name], total=event.total)
            self._done[name] = event.done
            self._progress.update(self._cells[name], completed=event.done, total=event.total)

    def finish(self, name: str) -> None:
        """The cell is over."""
        if name in self._cells:
            self._progress.remove_task(self._cells.pop(name))
            self._done.pop(name, None)
        self._progress.advance(self._all)


@contextmanager
def bar(console: Console | None = None) -> Iterator[Callable[[events.Event], None]]:
    """One bar for whatever is counted, on stderr, with the time left; silent where nobody looks."""
    console = console or Console(stderr=True)
    with Progress(*_columns(), console=console, disable=not console.is_terminal, transient=True) as shown:
        task = shown.add_task("", total=None)

        def show(event: events.Event) -> None:
            if isinstance(event, events.Progress):
                shown.update(task, description=event.activity, completed=event.done, total=event.total)

        yield show
