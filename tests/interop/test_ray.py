"""Cells on a real Ray, started here: the same rows as anywhere, and a process that is killed is replaced."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from learner_cells import CELLS, cell, direct_rows, running, untimed
from ray._common.usage.usage_lib import usage_stats_enabled

from learner.benchmark.engines.on_ray import connect, environment, load_ray, share
from learner.config import RaySettings
from learner.datasets import FOLDER
from learner.errors import LearnerError
from learner.events import Progress, RoundFinished, RoundKept

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # pipes to the processes that Ray starts
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


SLOW = cell("bald", budgets=tuple(range(10, 80, 10)))  # about a second a round: not done before it is killed


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What Ray leaves to the garbage collector warns now, where that is ignored, and not at the end."""
    yield
    gc.collect()


@pytest.mark.parametrize(("wanted", "there", "got"), [(None, 0, 0), (None, 4, 1), (0, 4, 0), (0.25, 4, 0.25)])
def test_a_share_of_a_graphics_card_is_one_where_nothing_is_said(wanted, there, got):
    assert share(SimpleNamespace(cluster_resources=lambda: {"GPU": there}), wanted) == got


def test_a_task_is_told_where_data_sets_lie_and_sees_no_card_that_it_shall_not_use(monkeypatch):
    monkeypatch.setenv(FOLDER, "")
    assert environment(hidden=False) == {"env_vars": {}}
    monkeypatch.setenv(FOLDER, "/data")
    assert environment(hidden=False) == {"env_vars": {FOLDER: "/data"}}
    assert environment(hidden=True) == {"env_vars": {FOLDER: "/data", "CUDA_VISIBLE_DEVICES": "-1"}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray that runs one cell at once, for tests that would start one like it."""
    connect(load_ray(), RaySettings(workers=1))
    yield
    ray.shutdown()


def test_ray_gives_the_rows_of_run_cell_and_reports_every_round():
    heard = []
    found = sorted(running("ray", CELLS, lambda *event: heard.append(event), workers=2), key=lambda item: item.index)
    assert [untimed(item.rows) for item in found] == direct_rows()
    assert not any(item.error for item in found)
    rounds = sorted((index, event.labels) for index, event in heard if isinstance(event, RoundFinished))
    assert rounds == [(index, labels) for index in range(6) for labels in (10, 20)]
    assert {type(event) for _, event in heard} <= {RoundKept, RoundFinished, Progress}
    assert not ray.is_initialized()


def test_a_cluster_that_is_not_there_is_named():
    with pytest.raises(LearnerError, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        next(running("ray", [cell()], address="127.0.0.1:1"))


def parent(pid: str) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]


def is_raylet(folder: Path) -> bool:
    """Is this the process of Ray that starts the others, and did this one start it?"""
    try:
        return b"/raylet" in (folder / "cmdline").read_bytes() and parent(folder.name) == str(os.getpid())
    except OSError:
        return False


def tasks() -> list[int]:
    """The processes that play a cell now, of the Ray that this process started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_task = (folder / "cmdline").read_bytes().startswith(b"ray::play_cell")
            if is_task and parent(parent(folder.name)) == str(os.getpid()):
                found.append(int(folder.name))
        except OSError:
            continue  # it has just ended
    return found


def killing(times: int):
    """A report that kills the process of a cell in its first round, so many times; and the rounds it saw."""
    rounds = []

    def report(index: int, event: object) -> None:
        if isinstance(event, RoundFinished):
            rounds.append((index, event.labels))
            if event.labels == 10 and rounds.count((0, 10)) <= times and index == 0:
                (pid,) = tasks()
                os.kill(pid, signal.SIGKILL)

    return report, rounds


def test_a_cell_whose_process_is_killed_is_tried_again_and_ends_the_same(cluster):
    report, rounds = killing(1)
    (found,) = running("ray", [SLOW], report)
    assert rounds.count((0, 10)) == 2
    assert [row["labels"] for row in found.rows] == list(SLOW.settings.budgets)
    (alone,) = running("serial", [SLOW])
    assert untimed(found.rows) == untimed(alone.rows)


def test_a_cell_whose_process_is_killed_too_often_is_given_up_and_the_others_run(cluster):
    report, _ = killing(1)
    found = {item.index: item for item in running("ray", [SLOW, cell("margin")], report, retries=0)}
    assert "digits, propagate, bald, seed 0: its process was lost too often" in found[0].error
    assert len(found[1].rows) == 2


def test_a_cell_goes_on_behind_the_rounds_that_were_kept_and_ends_the_same(cluster):
    first, second = [], []
    (whole,) = running("serial", [cell("margin")], lambda index, event: first.append(event))
    told = [event for event in first if isinstance(event, RoundKept)]
    (again,) = running("ray", [cell("margin")], lambda index, event: second.append(event), kept=lambda index: told[:2])
    assert untimed(again.rows) == untimed(whole.rows)
    assert [event.round for event in second if isinstance(event, RoundFinished)] == [2]


def test_a_cell_that_cannot_be_played_is_named(cluster):
    (found,) = running("ray", [cell(dataset="npz:/no/such/file.npz")])
    assert "/no/such/file.npz" in found.error
    assert ray.is_initialized()  # it was not started by the engine


def test_nobody_is_told_that_ray_is_used(cluster):
    assert not usage_stats_enabled()
    raylet = next(folder for folder in Path("/proc").glob("[0-9]*") if is_raylet(folder))
    assert b"RAY_USAGE_STATS_ENABLED=0" in (raylet / "environ").read_bytes().split(b"\0")


def test_graphics_cards_that_are_not_there_are_refused_before_anything_waits(cluster):
    with pytest.raises(LearnerError, match="num_gpus is 64"):
        next(running("ray", [cell()], num_gpus=64))
