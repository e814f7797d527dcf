"""Cells in processes of this machine, each behind a pipe of its own: one that is killed takes only its cell with it.

Not concurrent.futures: there one lost process breaks the pool, and every other cell under way is lost too.
"""

import multiprocessing
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from learner.benchmark.engines import Finished, Kept, Report, nothing
from learner.benchmark.engines.plan import Plan
from learner.config import ProcessesSettings
from learner.events import Event, RoundKept

if TYPE_CHECKING:
    from learner.simulate import Cell

CONTEXT = multiprocessing.get_context("spawn")  # torch and its threads do not survive a fork
GRACE = 5.0  # seconds until a process that does not end is killed


class Lost(Exception):
    """A process ended without being asked to."""


@dataclass(frozen=True)
class Defect:
    """An exception that is not LearnerError, as it was raised in another process."""

    trace: str


class Worker:
    """A process and the cell it runs."""

    def __init__(self) -> None:
        self.pipe, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # so that the pipe ends with the process
        self.index: int | None = None  # of its cell
        self.last: int | None = None  # of the one before

    def start(self, index: int, cell: "Cell", kept: Sequence[RoundKept]) -> None:
        self.index = self.last = index
        with suppress(OSError):  # it is gone: the next hear() says so
            self.pipe.send((index, cell, kept))

    def hear(self) -> Any:
        """Its next message. Lost when there will be none."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            raise Lost from None

    def end(self) -> None:
        """Wait until it has ended; kill it where that takes too long."""
        self.process.join(GRACE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


class Pool:
    """Workers, each with the cell that the plan gave it."""

    def __init__(self, cells: Sequence["Cell"], retries: int, kept: Kept) -> None:
        self.workers: list[Worker] = []
        self._cells, self._plan, self._kept = cells, Plan(cells, retries), kept

    def busy(self) -> dict[Any, Worker]:
        return {worker.pipe: worker for worker in self.workers if worker.index is not None}

    def grow(self, last: int | None = None) -> None:
        """One more worker, which goes on where `last` was."""
        worker = Worker()
        worker.last = last
        self.workers.append(worker)
        self.feed(worker)

    def feed(self, worker: Worker) -> None:
        """Its next cell; none where all are taken."""
        worker.index = None
        elsewhere = [other.index for other in self.workers if other.index is not None]
        index = self._plan.take(worker.last, elsewhere)
        if index is not None:
            worker.start(index, self._cells[index], self._kept(index))

    def replace(self, lost: Worker) -> Finished | None:
        """A new worker for one that is gone; the end of its cell where that was tried too often."""
        self.workers.remove(lost)
        lost.end()
        index, code = lost.last or 0, lost.process.exitcode
        again = self._plan.again(index)
        self.grow(index)
        return None if again else Finished(index, error=too_often(self._cells[index], code))

    def end(self) -> None:
        """At once, whatever they are doing."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.end()


def run(
    cells: Sequence["Cell"], report: Report, settings: ProcessesSettings, kept: Kept = nothing
) -> Iterator[Finished]:
    """As they end; a cell whose process is lost is tried again, in a new one."""
    from learner.benchmark.engines.play import worker_count

    pool = Pool(cells, settings.retries, kept)
    try:
        for _ in range(worker_count(settings.workers, len(cells))):
            pool.grow()
        while busy := pool.busy():
            for pipe in wait(list(busy)):
                if finished := _next(busy[pipe], pool, report):
                    yield finished
    finally:
        pool.end()


def _next(worker: Worker, pool: Pool, report: Report) -> Finished | None:
    """One message of a worker. What ends its cell gives it the next one."""
    try:
        message = worker.hear()
    except Lost:
        return pool.replace(worker)
    if isinstance(message, Defect):
        raise RuntimeError(f"a cell broke in its process:\n{message.trace}")
    if isinstance(message, Finished):
        pool.feed(worker)
        return message
    report(*message)
    return None


def too_often(cell: "Cell", code: int | None) -> str:
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return (
        f"{cell.dataset}, {cell.strategy.name}, seed {cell.settings.seed}: its process was lost too often, last by "
        f"{how}; where memory runs out take fewer workers"
    )


def serve(pipe: Connection) -> None:
    """What a worker does: cells, until the pipe or the process that holds its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the parent too, and that ends this one
    from learner.benchmark.engines.play import play

    def report(index: int, event: Event) -> None:
        pipe.send((index, event))

    try:
        while True:
            index, cell, kept = pipe.recv()
            pipe.send(play(index, cell, report, kept))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception:
        pipe.send(Defect(traceback.format_exc()))
