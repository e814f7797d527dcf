"""The processes beside the server: started, watched, restarted, ended. Real processes."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from live import answer_truly
from sqlite_utils import Database

from annotator import importer, jobs
from annotator.jobs import Job, Supervisor
from annotator.pages import status
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


@pytest.mark.long
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


@pytest.mark.slow
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.slow
def test_a_learning_process_ends_with_a_parent_that_was_gone_before_it_could_look(make_instance):
    instance = make_instance("early")
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    command = [sys.executable, "-m", "annotator.worker", str(instance)]
    assert subprocess.run(command, env=os.environ | {jobs._STARTER: gone.stdout.decode()}, timeout=60).returncode == 0


def test_only_one_learning_process_has_the_lease(instance, db):
    first, second = Worker(instance), Worker(instance)
    assert first._take_lease(db)
    assert not second._take_lease(db)
    first.stopping.set()
    first.run()
    assert second._take_lease(db)


@pytest.fixture
def failing(make_instance) -> Iterator[Supervisor]:
    """Of a process that ends at once, not yet started."""
    instance = make_instance("failing")
    supervisor = Supervisor(instance)
    supervisor.jobs = [Job("learner", "annotator.no_such_module", instance, forever=True)]
    yield supervisor
    supervisor.stop()


def told(supervisor: Supervisor) -> str:
    """What the page says of the learning process."""
    with closing(store.connect(supervisor.instance / store.FILE)) as db:
        return rounds.process(db, "learner")["error"] or ""


def test_a_log_that_cannot_be_opened_stops_the_process_but_not_the_watch(failing):
    log = failing.instance / "learner.log"
    log.mkdir()
    failing.start()
    until(lambda: "cannot be started" in told(failing) and "learner.log" in told(failing), 10)
    log.rmdir()
    until(lambda: "exit code 1" in told(failing), 20)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("database or disk is full"), OSError("no space"),
                                   sqlite3.DatabaseError("database disk image is malformed")])  # fmt: skip
def test_a_reason_that_cannot_be_stored_is_kept_until_it_can_be(failing, error, monkeypatch, capsys):
    tell, left = rounds.tell, [error, error, error]

    def fail(*arguments, **values):
        if left:
            raise left.pop()
        tell(*arguments, **values)

    monkeypatch.setattr(rounds, "tell", fail)
    failing.start()
    until(lambda: "exit code 1" in told(failing), 20)
    assert left == []
    assert f"(not stored: {error})" in capsys.readouterr().err


def test_a_process_that_cannot_be_forked_is_tried_again(failing, monkeypatch):
    start, left = subprocess.Popen, [BlockingIOError(11, "Resource temporarily unavailable")]

    def fail(*arguments, **values):
        if left:
            raise left.pop()
        return start(*arguments, **values)

    monkeypatch.setattr(subprocess, "Popen", fail)
    failing.start()
    until(lambda: "Resource temporarily unavailable" in told(failing), 10)
    until(lambda: "exit code 1" in told(failing), 20)


def test_a_reason_that_comes_late_does_not_say_that_the_process_is_down(failing):
    (job,) = failing.jobs
    with closing(store.connect(failing.instance / store.FILE)) as db:
        rounds.tell(db, "learner", activity="ready", owner="the new process", heartbeat=time.time())
        job.process = subprocess.Popen([sys.executable, "-c", ""])
        failing._record(job, "ended by SIGKILL")
        row = rounds.process(db, "learner")
    assert (row["activity"], row["owner"], row["restarts"]) == ("ready", "the new process", 1)


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


@pytest.mark.long
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


def test_a_killed_look_for_images_is_not_said_to_go_on(make_instance):
    instance = make_instance()
    code = f"""
import os, pathlib
from annotator import importer
importer.look(pathlib.Path({str(instance)!r}), lambda: False, lambda done, total: os.kill(os.getpid(), 9))"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    with closing(store.connect(instance / store.FILE)) as db:
        said = status.importing(db)
        assert said == {"activity": "stopped", "done": 40, "total": 40, "error": status.KILLED}
        importer.look(instance, lambda: False)
        assert status.importing(db) is None
