"""The bars of a simulation: how much is left, and which cell is which."""

from io import StringIO

import pytest
from rich.console import Console

from annotator.progress import Bars, bar, bar_names
from learner.benchmark.study import cells
from learner.events import Progress


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def bars(total: int, clock: Clock) -> Bars:
    return Bars(total, 0, True, Console(file=StringIO(), force_terminal=True, width=100), clock)


def left(bars: Bars, name: str = "cells") -> float | None:
    """Seconds until this bar is full, as the terminal shows them."""
    return next(task.time_remaining for task in bars._progress.tasks if task.description == name)


@pytest.mark.parametrize("seconds", [1, 60, 7200])
def test_the_time_left_is_known_from_the_first_cell_on_however_long_it_takes(clock, seconds):
    with bars(10, clock) as shown:
        assert left(shown) is None
        for number in (1, 2, 3):
            clock.now += seconds
            shown.finish(f"cell {number}")
            assert left(shown) == seconds * (10 - number)


def test_the_time_left_counts_from_where_a_run_goes_on(clock):
    shown = Bars(10, 8, True, Console(file=StringIO(), force_terminal=True, width=100), clock)
    with shown:
        clock.now += 100
        shown.finish("cell")
        assert left(shown) == 100


def test_the_time_left_of_a_cell_is_of_what_it_counts_now(clock):
    with bars(1, clock) as shown:
        for done in (0, 1, 2):
            shown.show("cell", Progress("training", done, 2))
            clock.now += 50
        for done in (0, 1, 2):
            shown.show("cell", Progress("training", done, 12))
            clock.now += 1
        assert left(shown, "cell") == 10
        for done in (0, 1, 2):
            shown.show("cell", Progress("training", done, 12))
            clock.now += 2
        assert left(shown, "cell") == 20


def test_cells_side_by_side_have_a_bar_each():
    grids = [
        {"dataset": ["digits", "digits@modified"], "seeds": 2}, {"method": "basic", "seeds": 2},
        {"oracle": "noisy:0.1", "seeds": 2}, {"budgets": [[10], [20]], "seeds": 1},
    ]  # fmt: skip
    many = [cell for grid in grids for cell in cells(grid)]
    found = bar_names(many)
    assert len(set(found)) == len(many)
    assert "digits@modified" in found[2]
    assert "basic" in found[4]


def test_what_all_cells_share_is_not_repeated():
    assert bar_names(list(cells({"strategy": ["random", "margin"], "seeds": 1}))) == [
        "random, seed 0", "margin, seed 0"
    ]  # fmt: skip


@pytest.mark.parametrize("looked_at", [True, False])
def test_one_bar_counts_what_is_done_where_somebody_looks(looked_at):
    file = StringIO()
    with bar(Console(file=file, force_terminal=looked_at, width=100)) as told:
        told(Progress("drawing", 3, 7))
    assert ("drawing" in file.getvalue() and "3/7" in file.getvalue()) == looked_at
    assert looked_at or not file.getvalue()
