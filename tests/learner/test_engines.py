"""Many cells at once: the same rows wherever they run, and one that is lost stops no other."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch
from learner_cells import CELLS, LONG, cell, direct_rows, running, untimed
from threadpoolctl import threadpool_info

from learner.benchmark import provenance
from learner.benchmark.engines import ENGINES, play
from learner.benchmark.engines.on_ray import load_ray
from learner.benchmark.engines.plan import Plan
from learner.benchmark.engines.play import few
from learner.benchmark.track import load_mlflow
from learner.errors import LearnerError
from learner.events import Predicted, Progress, RoundFinished, RoundKept, RoundStarted
from learner.settings import Choice

HERE = [name for name in ENGINES if name != "ray"]  # tests/interop runs that one


@pytest.fixture(scope="module")
def direct() -> list[list[dict]]:
    return direct_rows()


@pytest.mark.parametrize("name", ["serial", pytest.param("processes", marks=pytest.mark.long)])
def test_an_engine_gives_the_rows_of_run_cell_and_reports_every_round(name, direct):
    heard = []
    found = sorted(running(name, CELLS, lambda index, event: heard.append((index, event))), key=lambda f: f.index)
    assert [untimed(item.rows) for item in found] == direct
    assert [item.index for item in found] == list(range(6))
    assert not any(item.error for item in found)
    rounds = sorted((index, event.labels) for index, event in heard if isinstance(event, RoundFinished))
    assert rounds == [(index, labels) for index in range(6) for labels in (10, 20)]
    assert {type(event) for _, event in heard} <= {RoundKept, RoundFinished, Progress}


@pytest.mark.parametrize("name", HERE)
def test_a_cell_that_cannot_be_played_is_named_and_stops_no_other(name):
    found = {item.index: item for item in running(name, [cell(dataset="npz:/no/such/file.npz"), cell()])}
    assert "/no/such/file.npz" in found[0].error
    assert "\n" not in found[0].error
    assert found[0].rows == []
    assert [row["labels"] for row in found[1].rows] == [10, 20]


@pytest.mark.parametrize("name", HERE)
def test_rows_say_where_they_were_computed_not_who_asked(name, monkeypatch):
    true = provenance.device()
    for fact in ("device", "revision"):
        monkeypatch.setattr(provenance, fact, lambda: "who asks")  # which a process of its own knows nothing of
    (found,) = running(name, [cell()])
    for row in found.rows:
        assert row["device"] == ("who asks" if name == "serial" else true)
        assert (row["revision"] == "who asks") is (name == "serial")
        assert name == "serial" or set(row["revision"]) <= set("0123456789abcdef+")
        assert row["versions"]["torch"]


@pytest.mark.parametrize("name", HERE)
def test_a_cell_goes_on_behind_the_rounds_that_were_kept_and_ends_the_same(name):
    item = cell("margin", budgets=(10, 20, 30, 40))
    first, second = [], []
    (whole,) = running("serial", [item], lambda index, event: first.append(event))
    told = [event for event in first if isinstance(event, RoundKept)]
    assert [event.state.round for event in told] == [0, 1, 2, 3, 4]
    (again,) = running(name, [item], lambda index, event: second.append(event), kept=lambda index: told[:3])
    assert untimed(again.rows) == untimed(whole.rows)
    assert again.rows[:2] == whole.rows[:2]
    assert [event.round for event in second if isinstance(event, RoundFinished)] == [3, 4]


def test_rounds_of_another_version_are_played_again():
    told = []
    (whole,) = running("serial", [cell()], lambda index, event: told.append(event))
    old = [replace(event, row=event.row and event.row | {"revision": "old"}) for event in told
           if isinstance(event, RoundKept)]  # fmt: skip
    heard = []
    (again,) = running("serial", [cell()], lambda index, event: heard.append(event), kept=lambda index: old[:2])
    assert [event.round for event in heard if isinstance(event, RoundFinished)] == [1, 2]
    assert again.rows[0]["revision"] == whole.rows[0]["revision"]


@pytest.mark.parametrize("name", HERE)
def test_no_cells_no_results(name):
    assert list(running(name, [])) == []


def test_threads_are_as_before_when_the_serial_engine_yields():
    before = torch.get_num_threads()
    seen = []
    next(running("serial", [cell()], lambda index, event: seen.append(torch.get_num_threads())))
    assert set(seen) == {1}
    assert torch.get_num_threads() == before


def test_a_cell_has_one_thread_beside_a_graphics_card_too(monkeypatch):
    monkeypatch.setattr(play, "pick_device", lambda: torch.device("cuda"))
    before = torch.get_num_threads()
    with play.one_thread():
        assert torch.get_num_threads() == 1
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}
    assert torch.get_num_threads() == before


def kill_in_the_first(times: int):
    """A report that kills the only worker in the first round of a cell, so many times; and what it saw."""
    rounds = []

    def report(index: int, event: object) -> None:
        if isinstance(event, RoundFinished):
            rounds.append((index, event.labels))
            if sum(labels == 10 for _, labels in rounds) <= times:
                (child,) = active_children()
                os.kill(child.pid, signal.SIGKILL)

    return report, rounds


@pytest.mark.long
def test_a_cell_whose_worker_is_killed_is_tried_again_and_ends_the_same():
    report, rounds = kill_in_the_first(1)
    found = list(running("processes", [cell(budgets=LONG), cell("margin")], report, workers=1))
    assert [item.index for item in found] == [0, 1]
    assert rounds.count((0, 10)) == 2
    assert untimed(found[0].rows) == untimed(next(running("serial", [cell(budgets=LONG)])).rows)


@pytest.mark.slow
def test_a_cell_whose_worker_is_killed_too_often_is_given_up_and_the_others_run():
    report, _ = kill_in_the_first(2)
    first, second = running("processes", [cell(budgets=LONG), cell("margin")], report, workers=1, retries=1)
    assert (first.index, first.rows) == (0, [])
    assert "digits, random, seed 0" in first.error
    assert "signal 9" in first.error
    assert len(second.rows) == 2


@pytest.mark.long
def test_closing_the_iterator_ends_the_processes():
    results = running("processes", [cell(), *(cell(budgets=LONG, seed=seed) for seed in (1, 2, 3))], workers=2)
    next(results)
    assert len(active_children()) == 2
    start = time.monotonic()
    results.close()
    assert active_children() == []
    assert time.monotonic() - start < 3


SCRIPT = """
from multiprocessing import active_children
import learner_cells
def pids():
    return [child.pid for child in active_children()]
if __name__ == "__main__":
    cells = [learner_cells.cell(budgets=learner_cells.LONG, seed=seed) for seed in range(50)]
    for result in learner_cells.running("processes", cells, lambda *event: print(*pids(), flush=True), workers=2):
        pass
"""


@pytest.mark.long
def test_ctrl_c_ends_parent_and_children_at_once(tmp_path):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the background jobs of a shell ignore it
    (tmp_path / "many.py").write_text(SCRIPT)
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    with subprocess.Popen(
        [sys.executable, tmp_path / "many.py"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env=os.environ | {"PYTHONPATH": path},
    ) as parent:  # fmt: skip
        children = [int(pid) for pid in parent.stdout.readline().split()]
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: to everybody
        _, said = parent.communicate(timeout=20)
    assert said.count("Traceback") == 1
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert len(children) == 2
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


@pytest.mark.long
def test_a_defect_in_a_process_is_raised_with_its_traceback():
    broken = replace(cell(), method=Choice("propagate", "no settings"))
    with pytest.raises(RuntimeError, match=r"Traceback(.|\n)*TypeError: asdict"):
        list(running("processes", [broken], workers=1))
    assert active_children() == []


def test_cells_of_the_same_images_stay_in_one_process():
    plan = Plan([cell(strategy, seed) for strategy in ("random", "margin") for seed in (0, 1)], 0)
    first = plan.take(None, [])
    second = plan.take(None, [first])
    assert (first, second) == (0, 1)
    assert plan.take(first, [second]) == 2
    assert plan.take(2, [second]) == 3  # nothing else is left: it helps the other
    assert plan.take(3, []) is None


def test_images_that_nobody_has_come_before_those_that_somebody_has():
    plan = Plan([cell(seed=0), cell("margin", seed=0), cell(seed=1)], 0)
    assert plan.take(None, []) == 0
    assert plan.take(None, [0]) == 2
    assert plan.take(2, [0]) == 1


def test_a_lost_cell_is_next_until_its_tries_are_spent():
    plan = Plan([cell(), cell("margin")], 1)
    assert plan.take(None, []) == 0
    assert plan.again(0)
    assert plan.take(None, []) == 0
    assert not plan.again(0)
    assert plan.take(None, []) == 1


def test_progress_is_told_now_and_then_and_what_is_large_never():
    heard = []
    listen = few(3, lambda index, event: heard.append((index, event)))
    for done in range(1000):
        listen(Progress("training", done, 1000))
    listen(RoundStarted(1, 10))
    listen(Predicted(1, None, None))
    assert heard == [(3, Progress("training", 0, 1000))]


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch):
    for name in ("RAY_USAGE_STATS_ENABLED", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "")  # so that they are as before afterwards
    for name, load in (("ray", load_ray), ("mlflow", load_mlflow)):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(LearnerError, match=rf"{name} is not installed: pip install 'annotator\[{name}\]'"):
            load()
