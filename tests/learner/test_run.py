"""The folder of a run: only whole cells count, and nothing in it is ever lost."""

import json

import pytest

from learner.benchmark.run import ABOUT, REST, RESULTS, ROUNDS, Run, read
from learner.benchmark.study import cells
from learner.errors import LearnerError
from learner.events import RoundKept
from learner.project import LoopState, Query

CELLS = list(cells({"strategy": ["random", "kmeans"], "seeds": 2}))


def rows_of(cell, number=3):
    return [cell.describe() | {"round": n, "labels": 10 * n, "accuracy": 0.1 * n} for n in range(1, number + 1)]


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path)
    for cell in reversed(CELLS[:3]):
        run.add(cell, rows_of(cell))
    return run


def test_rows_come_in_the_order_of_the_cells_whatever_finished_first(run):
    assert [row["cell"] for row in run.rows(CELLS)] == [cell.key for cell in CELLS[:3] for _ in range(3)]
    assert Run(run.folder).rows(CELLS) == run.rows(CELLS)


def test_rows_keep_where_they_were_computed(run):
    run.add(CELLS[3], [row | {"device": "a card elsewhere"} for row in rows_of(CELLS[3])])
    assert {row["device"] for row in Run(run.folder).rows(CELLS[3:])} == {"a card elsewhere"}


@pytest.mark.parametrize("kept", [1, 40, 200, -2])
def test_a_torn_end_costs_only_the_cell_it_is_in(run, kept):
    lines = run.path.read_text().splitlines(keepends=True)
    run.path.write_text("".join(lines[:6]) + "".join(lines[6:])[:kept])
    again = Run(run.folder)
    assert [again.has(cell) for cell in CELLS] == [False, True, True, False]
    again.add(CELLS[0], rows_of(CELLS[0]))
    assert [Run(run.folder).has(cell) for cell in CELLS] == [True, True, True, False]


def test_what_is_not_of_whole_cells_is_set_aside_not_thrown_away(run):
    old = json.dumps({"strategy": "random", "labels": 10, "accuracy": 0.5})
    run.path.write_text(run.path.read_text() + old + "\n")
    assert len(Run(run.folder).rows(CELLS)) == 9
    assert (run.folder / REST).read_text() == old + "\n"
    assert read(run.path) == Run(run.folder).rows(reversed(CELLS))


def test_rows_stay_until_those_that_are_computed_again_are_there(run):
    before = run.rows(CELLS)
    run.again(CELLS[:1])
    assert [run.has(cell) for cell in CELLS] == [False, True, True, False]
    assert [run.had(cell) for cell in CELLS] == [True, False, False, False]
    assert run.rows(CELLS) == Run(run.folder).rows(CELLS) == before  # what an interrupt leaves
    run.add(CELLS[0], rows_of(CELLS[0], number=2))  # of other code: fewer rounds
    assert run.rows(CELLS) == Run(run.folder).rows(CELLS)
    assert [row["labels"] for row in Run(run.folder).rows(CELLS[:1])] == [10, 20]
    assert Run(run.folder).rows(CELLS[1:]) == before[3:]
    assert not (run.folder / REST).exists()


def kept(number, cell=CELLS[3]):
    """After this round."""
    query = Query((number, 7), "margin", (0.1, 2 / 3), None, "a note")
    row = {"round": number, "cell": cell.key} if number else None
    return RoundKept(LoopState(0, number, 10 * number, query), row, 0.25)


def test_rounds_of_a_cell_under_way_are_kept_until_it_is_finished(run):
    before = run.path.read_text()
    for number in (0, 1, 2):
        run.keep(CELLS[3], kept(number))
    again = Run(run.folder)
    assert again.kept(CELLS[3]) == [kept(0), kept(1), kept(2)]
    assert again.kept(CELLS[0]) == []
    assert again.path.read_text() == before
    again.add(CELLS[3], rows_of(CELLS[3]))
    assert again.kept(CELLS[3]) == []
    assert not (run.folder / ROUNDS).exists()


def test_a_round_that_was_torn_costs_only_itself(run):
    for number in (0, 1, 2):
        run.keep(CELLS[3], kept(number))
    (path,) = (run.folder / ROUNDS).iterdir()
    path.write_text(path.read_text()[:-9])
    assert run.kept(CELLS[3]) == [kept(0), kept(1)]
    run.keep(CELLS[3], kept(3))  # without the second it leads nowhere
    assert run.kept(CELLS[3]) == [kept(0), kept(1)]
    run.keep(CELLS[3], kept(2))
    assert run.kept(CELLS[3]) == [kept(0), kept(1), kept(2)]


def test_a_cell_that_starts_again_has_no_later_rounds(run):
    for number in (0, 1, 2, 0, 1):
        run.keep(CELLS[3], kept(number))
    assert run.kept(CELLS[3]) == [kept(0), kept(1)]
    run.again(CELLS[3:])
    assert run.kept(CELLS[3]) == []


def test_what_is_missing_stands_beside_the_rows_with_the_reason(run):
    run.describe({"title": "t", "command": "annotator simulate"}, [("cifar10, fixmatch", "no files")])
    about = json.loads((run.folder / ABOUT).read_text())
    assert about["missing"] == [{"cell": "cifar10, fixmatch", "reason": "no files"}]
    assert about["title"] == "t"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LearnerError, match="cannot write into"):
        Run(tmp_path / "file" / "run")
    assert not (tmp_path / RESULTS).exists()
