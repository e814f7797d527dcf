"""Small cells of a simulation, and the rows that they have to give wherever they run."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from threadpoolctl import threadpool_limits

from learner import datasets
from learner.acquisition import STRATEGIES
from learner.benchmark.engines import ENGINES, Finished, nothing
from learner.config import LoopSettings, PropagateSettings
from learner.events import Event, RoundKept
from learner.settings import Choice, resolve
from learner.simulate import Cell, run_cell

LONG = tuple(range(10, 210, 10))  # so that no process is done before it is killed


def cell(strategy: str = "random", seed: int = 0, budgets: tuple[int, ...] = (10, 20), dataset: str = "digits") -> Cell:
    chosen = Choice(strategy, STRATEGIES[strategy].settings())
    return Cell(dataset, Choice("propagate", PropagateSettings()), chosen, LoopSettings(budgets=budgets, seed=seed))


CELLS = [cell(strategy, seed) for seed in (0, 1) for strategy in ("random", "typiclust", "margin")]


def untimed(rows: list[dict]) -> list[dict]:
    """Without the times, and without where they were computed."""
    where = ("device", "revision", "versions")
    return [{key: row[key] for key in row if not key.endswith("_seconds") and key not in where} for row in rows]


def direct_rows() -> list[list[dict[str, Any]]]:
    """The rows of CELLS, without the times, from run_cell itself, on one thread: on more the last digits differ."""
    forget_images()
    with threadpool_limits(1):
        rows = [untimed(run_cell(item)) for item in CELLS]
    forget_images()
    return rows


def forget_images() -> None:
    """So that no embedding is found that others computed, on more threads maybe."""
    datasets._divided.cache_clear()


def running(
    name: str,
    cells: list[Cell],
    report: Callable[[int, Event], None] = lambda index, event: None,
    kept: Callable[[int], Sequence[RoundKept]] = nothing,
    **values: object,
) -> Iterator[Finished]:
    row = ENGINES[name]
    return row.load()(cells, report, resolve(row.settings, values), kept)
