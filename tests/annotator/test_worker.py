"""What may go wrong in a round: it is given up with its reason, the ranking stays, and the next one starts clean."""

import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from live import answer_truly
from sqlite_utils import Database
from test_jobs import until

from annotator import predictions, worker
from annotator.project import StoreProject
from annotator.store import db as store
from annotator.store import imports, labels, project, rounds
from annotator.worker import Worker
from learner import loop

SIZE = 6
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Nets of this size gain nothing from more, and with busy cores lose much."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Path:
    return Path(tmp_path_factory.mktemp("shelf"))


@pytest.fixture
def due(shelf, tmp_path, request) -> Path:
    """An instance whose first round is finished and whose second is due: made once, then copied."""
    if not (shelf / "due").exists():
        instance = request.getfixturevalue("make_instance")("made", query_size=SIZE, tail_size=5)
        learner = Worker(instance)
        learner._look()
        answer_truly(learner.db, SIZE)
        learner._look()
        answer_truly(learner.db, SIZE)
        learner.db.close()
        copied(instance, shelf / "due")
    return copied(shelf / "due", tmp_path / "due")


@pytest.fixture
def db(due: Path) -> Iterator[Database]:
    opened = store.connect(due / store.FILE)
    yield opened
    opened.close()


@pytest.fixture
def learner(due: Path) -> Iterator[Worker]:
    """On the instance of `due`, driven by hand: in this process, look by look."""
    found = Worker(due)
    yield found
    found.stopping.set()
    found.db.close()


def copied(instance: Path, to: Path) -> Path:
    return Path(shutil.copytree(instance, to, ignore=shutil.ignore_patterns("*-shm")))


def ranking(db: Database) -> dict[str, Any]:
    """Everything that a round replaces, and that one given up must leave alone."""
    return {
        "queue": list(db.query("SELECT image_id, source, round, rank, score FROM queue ORDER BY source, rank")),
        "state": rounds.load_state(db),
        "model": rounds.latest_model(db),
    }


def outcome(instance: Path) -> dict[str, Any]:
    """What a finished round leaves, but for times."""
    db = store.connect(instance / store.FILE)
    found = ranking(db)
    model = found.pop("model")
    said = predictions.read_all(instance / model["folder"] / predictions.FILE)
    weights = json.loads((instance / model["folder"] / "model.json").read_text())["weights_sha256"]
    db.close()
    return found | {"round": model["number"], "labels": model["labels"], "said": said, "weights": weights}


def reasons(db: Database) -> dict[int, str | None]:
    """Round -> why it was given up."""
    return {row["number"]: row["error"] for row in db.query("SELECT number, error FROM rounds")}


def say(db: Database, image: int, name: str | None) -> None:
    """A person calls an image so; None: takes back what was said of it."""
    with store.write(db):
        person = project.person_id(db, "ann")
        (class_id,) = [row["id"] for row in project.classes(db) if row["name"] == name] or [None]
        undoes = None
        if name is None:
            undoes = db.execute("SELECT uuid FROM answers WHERE image_id = ?", [image]).fetchone()[0]
        kind = "label" if name else "undo"
        labels.add(db, labels.Answer(uuid.uuid4().hex, image, kind, person, class_id, undoes), "tab", time.time())


def answered(db: Database) -> list[int]:
    return [image for (image,) in db.execute("SELECT image_id FROM answers ORDER BY image_id").fetchall()]


def again(learner: Worker) -> None:
    """The pause after a failure is over."""
    learner._not_before = 0.0
    learner._look()


# ---- killed ----

# runs learning processes, one after the other: INSTANCE and a function (module:name) at whose call it kills itself, or
# none. Tells the process id and the exit code of each. It imports once, which takes longer than a round.
NURSERY = """
import functools, importlib, os, signal, sys
from pathlib import Path
import annotator.worker, learner.features.pixels, learner.training.propagate
for line in sys.stdin:
    instance, module, names = line.rstrip().split(":")
    child = os.fork()
    if not child:
        if names:
            *owner, name = names.split(".")
            holder = functools.reduce(getattr, owner, importlib.import_module(module))
            setattr(holder, name, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
        try:
            annotator.worker.main(Path(instance))
            os._exit(0)
        finally:
            os._exit(1)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Nursery:
    """Learning processes, each of its own, without the seconds that imports take."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", NURSERY], env=os.environ | THREADS, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def start(self, instance: Path, killed_at: str = ":") -> int:
        """The process id."""
        self.process.stdin.write(f"{instance}:{killed_at}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> int:
        """The exit code, minus the signal."""
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery()
    yield found
    found.process.kill()
    found.process.communicate()


MOMENTS = {
    "in training": "learner.training.graph:Graph.propagate",
    "in prediction": "learner.training.propagate:GraphClassifier._spread",
    "between the model and the predictions": "annotator.predictions:write",
    "between the files and their row": "annotator.project:StoreProject._finish",
    "between the row and the state": "annotator.store.rounds:save_state",
    "between the state and the query": "annotator.store.project:set_counter",
}


@pytest.mark.long
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_round_killed_at_any_moment_is_played_again_the_same(moment, nursery, due, db, tmp_path):
    copy = copied(due, tmp_path / "never killed")
    before = ranking(db)
    nursery.start(due, MOMENTS[moment])
    assert nursery.end() == -signal.SIGKILL
    assert ranking(db) == before
    healthy = nursery.start(due)
    until(lambda: len(rounds.finished(db)) == 2)
    os.kill(healthy, signal.SIGTERM)
    assert nursery.end() == 0
    Worker(copy)._look()
    assert outcome(due) == outcome(copy)
    assert outcome(due)["round"] == 2
    assert sorted(path.name for path in (due / "rounds").iterdir()) == ["1", "2"]


def test_what_killed_rounds_left_is_removed_and_nothing_else(due, db):
    for name in ("2", "7", "2.part", "notes", "7.zip"):
        (due / "rounds" / name).mkdir()
        (due / "rounds" / name / "file").touch()
    StoreProject(due).tidy()
    assert sorted(path.name for path in (due / "rounds").iterdir()) == ["1", "7.zip", "notes"]


def test_a_half_written_folder_is_replaced(due, learner):
    for name in ("2", "2.part"):
        (due / "rounds" / name).mkdir()
        (due / "rounds" / name / "model.safetensors").write_bytes(b"half")
    learner._look()
    names = sorted(path.name for path in (due / "rounds" / "2").iterdir())
    assert names == ["model.json", "model.safetensors", "predictions.db"]
    assert not (due / "rounds" / "2.part").exists()


def test_every_file_is_on_the_disk_before_its_folder_has_a_name_and_that_before_its_row(due, learner, monkeypatch):
    done: list[tuple[str, str]] = []
    sync, rename, update = os.fsync, Path.rename, rounds.update

    def synced(number):
        done.append(("sync", Path(f"/proc/self/fd/{number}").readlink().name))
        sync(number)

    def renamed(path, target):
        done.append(("rename", path.name))
        return rename(path, target)

    def updated(db, number, **values):
        done.append(("row", str(number)))
        update(db, number, **values)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(rounds, "update", updated)
    learner._look()
    at = done.index(("rename", "2.part"))
    synced_before = {name for what, name in done[:at] if what == "sync"}
    assert synced_before >= {"model.safetensors.part", "model.json.part", "2.part"}
    assert len(synced_before) == 4  # and the predictions, under a random name
    assert done[at - 1] == ("sync", "2.part")
    assert done[at + 1 :] == [("sync", "rounds"), ("sync", "due"), ("row", "2")]


# ---- given up ----


def raising(error: Exception):
    def fail(*arguments: Any, **named: Any) -> None:
        raise error

    return fail


def too_large(*arguments: Any) -> None:
    torch.empty(2**50)


FULL = sqlite3.OperationalError("database or disk is full")
NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
FAILURES = {
    "no memory in training": ("learner.loop._train", raising(MemoryError()), "out of memory"),
    "no memory for PyTorch": ("learner.loop._train", too_large, "max_images"),
    "no memory on the graphics card": ("learner.loop._predict", raising(torch.OutOfMemoryError("CUDA")), "batch_size"),
    "no space for the model": ("learner.checkpoint.write", raising(NO_SPACE), "disk is full"),
    "no space for the predictions": ("annotator.predictions.write", raising(FULL), "disk is full"),
    "no space for the state": ("annotator.store.rounds.save_state", raising(FULL), "disk is full"),
    "no space for the ranking": ("annotator.store.queue.publish", raising(FULL), "disk is full"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_what_may_pass_is_tried_again_after_a_pause(failure, due, db, learner, monkeypatch):
    target, fail, said = FAILURES[failure]
    before = ranking(db)
    with monkeypatch.context() as patch:
        patch.setattr(target, fail)
        learner._look()
    assert said in reasons(db)[2]
    told = rounds.process(db, "learner")
    assert told["activity"] == "waiting"
    assert told["error"].startswith("the round was given up: ")
    assert said in told["error"]
    learner._look()  # in its pause
    assert ranking(db) == before
    assert [path.name for path in (due / "rounds").glob("*.part")] == []
    again(learner)
    assert rounds.latest_model(db)["number"] == 2
    assert reasons(db) == {1: None, 2: None}
    assert rounds.process(db, "learner")["error"] is None


def test_the_pauses_grow_up_to_a_minute_and_begin_anew(db, learner, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(worker.time, "monotonic", lambda: now)
    pauses = []
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_train", raising(MemoryError()))
        for _ in range(6):
            learner._look()
            pauses.append(learner._not_before - now)
            now = learner._not_before
    learner._look()
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert learner._failures == 0
    assert rounds.latest_model(db)["number"] == 2


def test_a_disk_too_full_for_the_reason_ends_nothing(db, learner, monkeypatch, capsys):
    before = ranking(db)
    with monkeypatch.context() as patch:
        patch.setattr(store, "write", raising(FULL))
        learner._look()
    assert "disk is full" in capsys.readouterr().err
    assert ranking(db) == before
    again(learner)
    assert rounds.latest_model(db)["number"] == 2


def test_a_loss_that_is_not_finite_waits_for_other_settings(db, learner, monkeypatch):
    before = ranking(db)
    basic = {"method": "basic", "strategy": "margin", "loop": {"query_size": SIZE}}
    values = {"depth": 10, "width": 1, "steps": 4, "batch_size": 4}
    with store.write(db):
        project.put(db, learning=basic | {"method_settings": values | {"learning_rate": 1e30}})
    learner._look()
    assert "set learning_rate below 1e+30" in reasons(db)[2]
    assert ranking(db) == before
    with monkeypatch.context() as patch:
        patch.setattr(worker, "advance", raising(AssertionError("tried again, though nothing changed")))
        learner._look()
    with store.write(db):
        project.put(db, learning=basic | {"method_settings": values})
    learner._look()
    assert rounds.latest_model(db)["number"] == 2
    assert reasons(db)[2] is None


def test_probabilities_that_are_not_finite_are_never_stored(db, learner, monkeypatch):
    from learner.training.propagate import GraphClassifier

    before, predict = ranking(db), GraphClassifier.predict

    def broken(self, *arguments):
        found = predict(self, *arguments)
        found.probs[3] = torch.nan
        return found

    monkeypatch.setattr(GraphClassifier, "predict", broken)
    learner._look()
    assert "1 of 40 images are not finite" in reasons(db)[2]
    assert ranking(db) == before


def test_settings_that_cannot_be_end_no_process(db, learner):
    before = ranking(db)
    with store.write(db):
        project.put(db, learning={"method": "magic"})
    learner._look()
    assert "unknown method 'magic'" in rounds.process(db, "learner")["error"]
    assert ranking(db) == before


def test_a_pause_makes_no_failed_round_come_again_and_again(db, learner, monkeypatch):
    monkeypatch.setattr(loop, "_train", raising(loop.NotFinite("the loss is nan")))
    with store.write(db):
        project.put(db, learning={"loop": {"query_size": SIZE, "pause": 0.001}})
    learner._look()
    monkeypatch.setattr(worker, "advance", raising(AssertionError("tried again, though nothing changed")))
    learner._look()


def test_a_defect_ends_the_process_and_its_reason_stays(db, learner, monkeypatch):
    before = ranking(db)
    monkeypatch.setattr(loop, "_train", raising(ZeroDivisionError("a defect")))
    with pytest.raises(ZeroDivisionError):
        learner.run()
    told = rounds.process(db, "learner")
    assert (told["activity"], told["error"]) == ("crashed", "ZeroDivisionError: a defect")
    assert reasons(db)[2] == "ZeroDivisionError: a defect"
    assert ranking(db) == before


# ---- the project changes ----


def test_a_class_that_loses_its_last_label_is_no_longer_predicted(db, due, learner):
    with store.write(db):
        project.add_classes(db, ["owl"])
    owl = answered(db)[0]
    say(db, owl, "owl")
    learner._look()
    said = predictions.read_all(due / "rounds" / "2" / predictions.FILE)
    classes = [row["id"] for row in project.classes(db)]
    assert said[owl][0] == classes[2]
    answer_truly(db, SIZE - 1)
    say(db, owl, "cat")
    answer_truly(db, 1)
    learner._look()
    said = predictions.read_all(due / "rounds" / "3" / predictions.FILE)
    assert {class_id for class_id, _ in said.values()} == set(classes[:2])


def test_when_one_class_remains_it_asks_without_a_model_until_there_are_two(db, learner):
    for image in answered(db):
        say(db, image, "cat")
    learner._look()
    assert ranking(db)["state"]["round"] == 2
    assert ranking(db)["state"]["query"]["strategy"] == "typiclust"
    assert rounds.latest_model(db)["number"] == 1
    assert queue_of(db, "query") == set(ranking(db)["state"]["query"]["ids"])
    assert rounds.process(db, "learner")["activity"] == "ready"
    answer_truly(db, SIZE)
    learner._look()
    assert rounds.latest_model(db)["number"] == 3


def test_when_all_answers_are_undone_it_begins_again(db, learner):
    learner._look()
    images = answered(db)
    for image in images:
        say(db, image, None)
    learner._look()
    assert rounds.process(db, "learner")["error"] is None
    assert rounds.latest_model(db)["number"] == 2
    assert len(ranking(db)["state"]["query"]["ids"]) == SIZE
    for image in images:
        say(db, image, "cat" if image % 2 else "dog")
    learner._look()
    assert rounds.latest_model(db)["number"] == ranking(db)["state"]["round"] > 2


def queue_of(db: Database, source: str) -> set[int]:
    return {image for (image,) in db.execute("SELECT image_id FROM queue WHERE source = ?", [source]).fetchall()}


def test_an_image_set_aside_in_the_middle_of_a_round_is_not_asked(db, due, learner, tmp_path, monkeypatch):
    copy = copied(due, tmp_path / "left in peace")
    Worker(copy)._look()
    first = outcome(copy)["state"]["query"]["ids"][0]
    tail = next(row["image_id"] for row in outcome(copy)["queue"] if row["source"] == "tail")
    train = loop._train

    def meanwhile(round):
        with store.write(db):
            db.execute("UPDATE images SET aside = 'its file is missing' WHERE id IN (?, ?)", [first, tail])
        return train(round)

    monkeypatch.setattr(loop, "_train", meanwhile)
    learner._look()
    asked = set(ranking(db)["state"]["query"]["ids"])
    assert queue_of(db, "query") == asked - {first}
    assert tail not in queue_of(db, "tail")
    answer_truly(db, SIZE - 1)
    learner._look()
    assert rounds.latest_model(db)["number"] == 3


def test_a_round_waits_while_lost_pixels_are_made_again(db, learner):
    """A round on the rest of the images would choose among those alone."""
    images = dict(db.execute("SELECT id, row FROM images").fetchall())
    with store.write(db):
        db.execute("UPDATE images SET row = NULL WHERE id > 3")
        rounds.tell(db, "import", activity="reading")
    learner._look()
    assert rounds.latest_model(db)["number"] == 1
    with store.write(db):
        for image, row in images.items():
            db.execute("UPDATE images SET row = ? WHERE id = ?", [row, image])
    learner._look()
    assert rounds.latest_model(db)["number"] == 2


def test_a_round_that_was_stopped_at_its_end_does_not_count_with_a_later_one(db, learner, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(rounds, "save_state", raising(worker.Cancelled()))
        learner._look()
    assert reasons(db)[2] == "stopped"
    for image in answered(db):
        say(db, image, "cat")
    learner._look()
    assert ranking(db)["state"]["round"] == 2
    assert [row["number"] for row in rounds.finished(db)] == [1]


@pytest.mark.parametrize("wanted", [1, 0])
def test_the_project_says_how_many_rounds_are_kept_and_the_newest_always_is(wanted, db, due, learner):
    with store.write(db):
        project.put(db, keep_rounds=wanted)
    learner._look()
    assert [path.name for path in (due / "rounds").iterdir()] == ["2"]
    assert rounds.folders(db) == {"rounds/2"}


# ---- one at a time ----

HOLDING = """
import sys, time
from pathlib import Path
from annotator.store import db as store
from annotator.store import rounds
db = store.connect(Path(sys.argv[1]) / store.FILE)
with store.write(db):
    assert rounds.Lease("learner").take(db, time.time())
time.sleep(60)
"""


@pytest.fixture
def empty(tmp_path) -> Iterator[Database]:
    """A store in which nothing is but what leases need."""
    opened = store.prepare(tmp_path / store.FILE)
    yield opened
    opened.close()


def test_the_lease_of_a_killed_process_is_free_at_once(empty, tmp_path):
    lease = rounds.Lease("learner", clock=lambda: 0.0)
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path)]) as process:
        until(lambda: rounds.process(empty, "learner")["owner"])
        taken, alive = lease.take(empty, time.time()), rounds.is_alive(rounds.process(empty, "learner"), time.time())
        process.kill()
    assert (taken, alive) == (False, True)
    assert not rounds.is_alive(rounds.process(empty, "learner"), time.time())
    assert lease.take(empty, time.time())


HERE, ELSEWHERE = f"{rounds._here()}/{os.getpid()}/other", "another-machine/1/other"


@pytest.mark.parametrize("owner", [HERE, ELSEWHERE], ids=["here", "elsewhere"])
@pytest.mark.parametrize("jump", [0, 5 * 3600, -5 * 3600])
def test_an_owner_that_lives_keeps_the_lease_whatever_the_clock_says(empty, owner, jump):
    now = 0.0
    lease = rounds.Lease("learner", clock=lambda: now)
    for beat in range(20):
        now = 4.0 * beat
        wall = 1e9 + now + (jump if beat > 10 else 0)
        rounds.tell(empty, "learner", owner=owner, heartbeat=wall)
        assert not lease.take(empty, wall)
        assert not lease.take(empty, wall - jump)


@pytest.mark.parametrize("owner", [HERE, ELSEWHERE], ids=["here", "elsewhere"])
@pytest.mark.parametrize("jump", [0, 5 * 3600, -5 * 3600])
def test_an_owner_without_a_heartbeat_is_replaced_after_a_while(empty, owner, jump):
    moments = [0.0, 5.0, 14.0, 15.0]
    lease = rounds.Lease("learner", clock=lambda: moments[len(taken)])
    rounds.tell(empty, "learner", owner=owner, heartbeat=1e9)
    taken: list[bool] = []
    while len(taken) < len(moments):
        taken.append(lease.take(empty, 1e9 + jump))
    assert taken == [False, False, False, True]


def test_whoever_lost_the_lease_in_the_middle_of_a_round_writes_nothing(due, db, learner, monkeypatch):
    before, save = ranking(db), StoreProject.save_state
    assert learner._take_lease(learner.db)

    def late(self, state):
        rounds.tell(db, "learner", owner=ELSEWHERE, activity="theirs")
        save(self, state)

    monkeypatch.setattr(StoreProject, "save_state", late)
    learner._look()
    assert ranking(db) == before
    assert rounds.process(db, "learner")["activity"] == "theirs"


def test_the_heartbeat_goes_on_when_the_disk_has_room_again(db, learner, monkeypatch):
    monkeypatch.setattr(worker, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.01)
    take, left = rounds.Lease.take, [FULL, FULL, sqlite3.OperationalError("database is locked")]

    def failing(*arguments):
        if left:
            raise left.pop()
        return take(*arguments)

    monkeypatch.setattr(rounds.Lease, "take", failing)
    beat = threading.Thread(target=learner._beat)
    beat.start()
    until(lambda: rounds.process(db, "learner")["owner"] == learner.lease.owner, 10)
    assert not learner.stopping.is_set()
    learner.stopping.set()
    beat.join()


def test_a_process_whose_lease_was_taken_stops(db, learner, monkeypatch):
    monkeypatch.setattr(worker, "PAUSE_SECONDS", 0.01)
    rounds.tell(db, "learner", owner=ELSEWHERE, heartbeat=time.time())
    beat = threading.Thread(target=learner._beat)
    beat.start()
    beat.join(10)
    assert learner.stopping.is_set()


def test_a_process_that_waits_for_the_lease_ends_with_its_parent(db, learner, monkeypatch):
    monkeypatch.setattr(worker, "LEASE_SECONDS", 0.01)
    rounds.tell(db, "learner", owner=HERE, heartbeat=time.time())
    learner.parent = -1
    learner.run()
    assert rounds.process(db, "learner")["owner"] == HERE


def test_a_class_that_an_import_adds_while_a_round_runs_waits_for_the_next(make_instance):
    place = StoreProject(make_instance(audit_share=0.5))
    with store.write(place.db):
        (audit,) = place.db.execute("SELECT min(id) FROM images WHERE audit").fetchone()
        imports.say(place.db, ["a"], audit, 1, "import")
    place.news(0)
    with store.write(place.db):
        (other,) = place.db.execute("SELECT max(id) FROM images WHERE audit").fetchone()
        project.add_classes(place.db, ["bird"])
        imports.say(place.db, ["b"], other, 3, "import")
    assert place.exam().images.ids.tolist() == [audit]
    place.news(0)
    assert place.exam().images.ids.tolist() == [audit, other]
    place.db.close()
