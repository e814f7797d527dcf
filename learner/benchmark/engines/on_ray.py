"""Cells as tasks of Ray, which runs them on other machines and tries those again that it loses."""

import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from learner.benchmark.engines import Finished, Kept, Report, nothing
from learner.benchmark.engines.play import cores, failed, play, what
from learner.config import RaySettings
from learner.datasets import FOLDER
from learner.errors import LearnerError
from learner.events import Event, RoundKept
from learner.simulate import Cell

PATIENCE = 0.3  # seconds between two looks into the mailbox
CONNECT = 10.0  # seconds until a cluster must answer


def run(cells: Sequence[Cell], report: Report, settings: RaySettings, kept: Kept = nothing) -> Iterator[Finished]:
    """As they end. Where Ray runs in this process already, it is used and left running.

    Raises LearnerError without Ray, without the cluster, and where it lacks the graphics cards asked for.
    """
    ray = load_ray()
    ours = not ray.is_initialized()
    if ours:
        connect(ray, settings)
    try:
        yield from _results(ray, cells, report, settings, kept)
    finally:
        if ours:
            ray.shutdown()


def load_ray() -> Any:
    """Ray, which will tell nobody that it is used."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray reads it when it starts a cluster
    try:
        import ray
    except ImportError:
        raise LearnerError("ray is not installed: pip install 'annotator[ray]'") from None
    return ray


def connect(ray: Any, settings: RaySettings) -> None:
    quiet = {"log_to_driver": False, "include_dashboard": False}
    if not settings.address:
        ray.init(address="local", num_cpus=settings.workers or cores(), **quiet)
        return
    try:
        _knock(settings.address)
        ray.init(address=settings.address, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        said = str(error).partition("\n")[0]
        raise LearnerError(
            f"no Ray cluster at {settings.address!r}: {said}; start one with `ray start --head`, or give no address"
        ) from error


def _knock(address: str) -> None:
    """OSError where nobody listens at HOST:PORT, for which Ray itself waits minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT).close()


def _results(ray: Any, cells: Sequence[Cell], report: Report, settings: RaySettings, kept: Kept) -> Iterator[Finished]:
    """What is still running is cancelled when nobody wants it any more."""
    mailbox = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Mailbox).remote()
    ray.get(mailbox.empty.remote())  # it is there before any cell has something to say
    gpus = share(ray, settings.num_gpus)
    known = environment(hidden=settings.num_gpus == 0)
    options = {"num_cpus": 1, "num_gpus": gpus, "max_retries": settings.retries, "runtime_env": known}
    task = ray.remote(**options)(play_cell)
    waiting = {task.remote(index, cell, mailbox, kept(index)): index for index, cell in enumerate(cells)}
    try:
        while waiting:
            done, _ = ray.wait(list(waiting), timeout=PATIENCE)
            _deliver(ray, mailbox, report)
            for reference in done:
                yield _result(ray, reference, waiting.pop(reference), cells)
    except KeyboardInterrupt:
        with suppress(ray.exceptions.RayError):  # it was interrupted too
            _deliver(ray, mailbox, report, CONNECT)  # a round that has ended is kept
        raise
    finally:
        for reference in waiting:
            ray.cancel(reference, force=True)
        ray.kill(mailbox)


def _deliver(ray: Any, mailbox: Any, report: Report, timeout: float | None = None) -> None:
    for message in ray.get(mailbox.empty.remote(), timeout=timeout):
        report(*message)


def _result(ray: Any, reference: Any, index: int, cells: Sequence[Cell]) -> Finished:
    try:
        finished: Finished = ray.get(reference)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError) as error:
        kind = type(error).__name__
        return failed(index, f"{what(cells[index])}: its process was lost too often ({kind})")
    return finished


def environment(*, hidden: bool) -> dict[str, Any]:
    """What a task must be told: a cluster has an environment of its own. hidden: it sees no graphics card."""
    names = {FOLDER: os.environ.get(FOLDER, "")}
    if hidden:
        names["CUDA_VISIBLE_DEVICES"] = "-1"  # Ray need not hide the cards of a machine from a task that has none
    return {"env_vars": {name: value for name, value in names.items() if value}}


def share(ray: Any, wanted: float | None) -> float:
    """Of a graphics card for each cell. LearnerError where there is none: such a task would wait for ever."""
    there = float(ray.cluster_resources().get("GPU", 0))
    if wanted is None:
        return min(1.0, there)
    if wanted > there:
        raise LearnerError(f"num_gpus is {wanted:g} and the Ray cluster has {there:g} graphics cards; set num_gpus=0")
    return wanted


class Mailbox:
    """Where tasks leave what they report, and the driver collects it."""

    def __init__(self) -> None:
        self._messages: deque[tuple[int, Event]] = deque()

    def add(self, index: int, event: Event) -> None:
        self._messages.append((index, event))

    def empty(self) -> list[tuple[int, Event]]:
        messages = list(self._messages)
        self._messages.clear()
        return messages


def play_cell(index: int, cell: Cell, mailbox: Any, kept: Sequence[RoundKept]) -> Finished:
    """The task. Its last report has arrived when it ends, so that none comes after the result."""
    sent: list[Any] = []
    finished = play(index, cell, lambda *message: sent.append(mailbox.add.remote(*message)), kept)
    import ray

    if sent:
        ray.wait(sent, num_returns=len(sent))
    return finished
