"""The processes beside the server: started, watched, restarted, ended. Real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live import answer_truly
from sqlite_utils import Database

from annotator.jobs import Supervisor
from annotator.store import db as store
from annotator.store import project, rounds
from annotator.worker import Worker


def until(condition: Callable[[], object], seconds: float = 60.0) -> object:
    """The first true value of the condition; fails when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"nothing within {seconds} s")


@pytest.fixture
def supervisor(make_instance) -> Iterator[Supervisor]:
    instance = make_instance("run", query_size=6, start_size=6)
    found = Supervisor(instance)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def live(supervisor: Supervisor) -> Iterator[Database]:
    db = store.connect(supervisor.instance / store.FILE)
    yield db
    db.close()


def test_a_round_survives_kill_minus_nine_of_the_learning_process(supervisor, live):
    until(lambda: rounds.load_state(live))
    learner = supervisor.jobs[1]
    os.kill(learner.process.pid, signal.SIGKILL)
    until(lambda: rounds.process(live, "learner")["restarts"] == 1)
    assert "SIGKILL" in rounds.process(live, "learner")["error"]
    answer_truly(live, 6)
    (row,) = until(lambda: rounds.finished(live))
    assert (row["number"], row["labels"]) == (1, 6)
    until(lambda: rounds.process(live, "learner")["error"] is None)


def test_while_paused_nothing_is_learned_and_afterwards_everything(supervisor, live):
    until(lambda: rounds.load_state(live))
    with store.write(live):
        rounds.tell(live, "learner", paused=1)
    time.sleep(1.5)
    answer_truly(live, 6)
    time.sleep(1.5)
    assert rounds.finished(live) == []
    with store.write(live):
        rounds.tell(live, "learner", paused=0)
    assert until(lambda: rounds.finished(live))


def test_stopping_ends_every_process_and_gives_the_lease_back(make_instance):
    instance = make_instance("stop")
    supervisor = Supervisor(instance)
    supervisor.start()
    db = store.connect(instance / store.FILE)
    until(lambda: rounds.process(db, "learner")["owner"])
    running = [job.process for job in supervisor.jobs if job.process]
    supervisor.stop()
    assert [process.returncode for process in running if process.returncode is None] == []
    assert rounds.process(db, "learner")["owner"] is None


def test_a_learning_process_ends_with_its_parent(make_instance):
    instance = make_instance("orphan")
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-m', 'annotator.worker', {str(instance)!r}])"
    code += "; import time; time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    db = store.connect(instance / store.FILE)
    until(lambda: rounds.process(db, "learner")["owner"])
    parent.kill()
    parent.wait()
    until(lambda: rounds.process(db, "learner")["owner"] is None)


def test_only_one_learning_process_has_the_lease(instance, db):
    first, second = Worker(instance), Worker(instance)
    assert first._take_lease()
    assert not second._take_lease()
    with store.write(db):
        db["processes"].update("learner", {"heartbeat": time.time() - 60})
    assert second._take_lease()


def test_a_round_that_cannot_be_done_is_given_up_with_its_reason(instance, db, monkeypatch):
    worker = Worker(instance)
    with store.write(db):
        project.put(db, learning={"method": "basic", "strategy": "bald", "loop": {"query_size": 6},
                                  "method_settings": {"bayesian": "net", "steps": 2}})  # fmt: skip
    worker._look()
    answer_truly(db, 6)
    worker._look()
    told = rounds.process(db, "learner")
    assert told["activity"] == "waiting"
    assert "block_dropout" in told["error"]
    assert rounds.finished(db) == []


def test_memory_is_kept_small_by_forgetting_old_rounds(instance: Path, db):
    with store.write(db):
        project.put(db, learning={"loop": {"query_size": 5}})
    worker = Worker(instance)
    worker._look()
    for _ in range(5):
        answer_truly(db, 5)
        worker._look()
    assert sorted(int(p.name) for p in (instance / "rounds").iterdir()) == [3, 4, 5]
    assert [row["number"] for row in rounds.finished(db) if row["folder"]] == [3, 4, 5]
