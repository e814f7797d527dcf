"""Progress of a study in a terminal: one bar for all of it, with the time left, and one for each running cell."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from learner import events


class Bars:
    """On stderr; silent where nobody looks."""

    def __init__(self, total: int, done: int, visible: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), disable=not visible)
        self._all = self._progress.add_task("cells", total=total, completed=done)
        self._cells: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
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
            self._progress.update(self._cells[name], completed=event.done, total=event.total)

    def finish(self, name: str) -> None:
        """The cell is over."""
        if name in self._cells:
            self._progress.remove_task(self._cells.pop(name))
        self._progress.advance(self._all)
