"""ENGINES: where the cells of a simulation run. A row is `run(cells, report, settings, kept) -> Iterator[Finished]`.

Each cell is yielded once, in the order in which they end, and its rows are the same whatever the engine; only seconds
differ. `report(index, event)` is told RoundKept, RoundFinished and, a few times a second, Progress. A cell that raises
LearnerError, or whose process is lost too often, is finished with an error and stops no other; any other exception is
a defect and ends the run. Closing the iterator ends the processes. `kept(index)` is every RoundKept of a cell that was
interrupted: it goes on behind these rounds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from learner.config import ProcessesSettings, RaySettings
from learner.events import Event, RoundKept
from learner.registry import Row
from learner.settings import NoSettings

__all__ = ["ENGINES", "Finished", "Kept", "Report", "nothing"]

Report = Callable[[int, Event], None]
Kept = Callable[[int], Sequence[RoundKept]]


@dataclass(frozen=True)
class Finished:
    """A cell that ran to its end, or cannot."""

    index: int  # of the cell among those that were given
    rows: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""  # one line; then there are no rows


def nothing(index: int) -> Sequence[RoundKept]:
    """Every cell starts at its beginning."""
    return ()


ENGINES: dict[str, Row] = {
    "serial": Row("one after the other, in this process", NoSettings, "learner.benchmark.engines.serial:run"),
    "processes": Row(
        "several at once, in processes of this machine", ProcessesSettings, "learner.benchmark.engines.processes:run",
    ),
    "ray": Row("several at once, on a Ray cluster or a local one", RaySettings, "learner.benchmark.engines.on_ray:run"),
}  # fmt: skip
