"""One cell, as every engine plays it: on one thread, and telling only what is small."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from learner import datasets
from learner.benchmark import provenance
from learner.benchmark.engines import Finished, Report
from learner.device import pick_device
from learner.errors import LearnerError
from learner.events import Event, Progress, RoundFinished, RoundKept
from learner.simulate import Cell, run_cell

PAUSE = 0.3  # seconds between two Progress events of a cell


def play(
    index: int,
    cell: Cell,
    report: Report,
    kept: Sequence[RoundKept] = (),
    dataset: datasets.Dataset | None = None,
) -> Finished:
    """The cell's rows, or the line that says why there are none."""
    try:
        with one_thread():
            rows = run_cell(cell, few(index, report), dataset, kept if are_ours(kept) else ())
            return Finished(index, [here() | row for row in rows])
    except LearnerError as error:
        return failed(index, str(error))


def here() -> dict[str, Any]:
    """Where rows are computed: in this process, of which the one that writes them knows nothing."""
    return {"device": provenance.device(), "revision": provenance.revision(), "versions": provenance.versions()}


def are_ours(kept: Sequence[RoundKept]) -> bool:
    """Did the same code play these rounds? Behind those of another it would not go on as they would have."""
    code = provenance.revision(), provenance.versions()
    return all((item.row.get("revision"), item.row.get("versions")) == code for item in kept if item.row)


def failed(index: int, reason: str) -> Finished:
    """`reason` on one line."""
    return Finished(index, error=" ".join(reason.split()))


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of the CPU: sums do not depend on who else runs, and cells side by side do not fight for cores.

    Beside a graphics card too: what is not learned there, clusters for one, is computed as anywhere else.
    """
    import_module("sklearn.cluster")  # a limit holds only for the thread pools that are loaded
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def few(index: int, report: Report) -> Callable[[Event], None]:
    """Hands on the ends of rounds and now and then a Progress; what holds nets and predictions stays here."""
    told: list[float] = []

    def listen(event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, Progress) and (not told or now - told[-1] >= PAUSE):
            told[:] = [now]
            report(index, event)
        if isinstance(event, RoundKept):
            report(index, replace(event, row=here() | event.row) if event.row else event)
        if isinstance(event, RoundFinished):
            report(index, event)

    return listen


def worker_count(wanted: int, cells: int) -> int:
    """How many processes: `wanted`; for 0 one for each core, and one where they would share a graphics card."""
    return max(1, min(wanted or (cores() if pick_device().type == "cpu" else 1), cells))


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def what(cell: Cell) -> str:
    """How a message names a cell."""
    return f"{cell.dataset}, {cell.method.name}, {cell.strategy.name}, seed {cell.settings.seed}"
