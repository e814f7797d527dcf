"""The learning process: looks at the project, sees answers that no round has used, and trains.

A reconciler, not a job queue: killed at any point, it starts again and loses nothing but the round's work.
Run as `python -m annotator.worker INSTANCE`.
"""

import contextlib
import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from annotator import settings
from annotator.jobs import starter
from annotator.project import StoreProject
from annotator.store import db as store
from annotator.store import images, labels, rounds
from annotator.store import project as project_store
from learner.errors import Cancelled, LearnerError, OutOfMemory
from learner.loop import advance

HEARTBEAT_SECONDS = 4.0
LEASE_SECONDS = 1.0  # until another process's end is noticed
PAUSE_SECONDS = 0.5  # until a pause is noticed
LOOK_SECONDS = 0.2
RETRY_SECONDS = (5.0, 10.0, 20.0, 40.0, 60.0)  # after something that may pass: a full disk, too little memory

Seen = tuple[int, int, str, str]


class Worker:
    """One learning process on one instance."""

    def __init__(self, instance: Path) -> None:
        self.instance = instance
        self.lease = rounds.Lease("learner")
        self.stopping = threading.Event()
        self.paused = False
        self.parent = starter()
        self.project = StoreProject(instance, check=self.check)
        self.db = self.project.db
        self._done: Seen | None = None  # what was there at the last look, which left nothing to do
        self._failures = 0  # that may pass, one after the other
        self._not_before = 0.0

    def check(self) -> None:
        """Called with every progress report: Cancelled when somebody asked to stop or to pause, or took over."""
        if self.stopping.is_set() or self.paused or self.lease.is_lost(self.db):
            raise Cancelled

    def run(self) -> None:
        """Until SIGTERM, or until the parent process is gone."""
        while not self._take_lease(self.db):
            if self.stopping.wait(LEASE_SECONDS) or self._is_orphan():
                return
        threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()
        try:
            self.project.tidy()
            self._tell(activity="ready", done=0, total=0)
            while not self.stopping.is_set():
                self._look()
                self.stopping.wait(LOOK_SECONDS)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            self._give_up(said, activity="crashed", error=said)
            raise
        with _going_on(), store.write(self.db):
            if not self.lease.is_lost(self.db):
                rounds.tell(self.db, "learner", activity="stopped", done=0, total=0, owner=None, heartbeat=None)

    def _look(self) -> None:
        """Advance if there is something to do; give a round up with its reason if it cannot be done."""
        if time.monotonic() < self._not_before:
            return
        seen: Seen | None = None
        try:
            seen = self._sight()
            if self.paused or seen == self._done or self._waits_for_import():
                return
            chosen = settings.of_project(self.db)
            advance(self.project, chosen.method, chosen.strategy, chosen.loop)
        except Cancelled:
            why = "paused" if self.paused else "stopped"
            self._give_up(why, activity=why)
        except OutOfMemory as error:
            self._try_again(str(error))
        except (sqlite3.OperationalError, OSError) as error:
            self._try_again(store.explain(error))
        except LearnerError as error:
            self._give_up(str(error), activity="waiting", error=f"the round was given up: {error}")
            self._done = seen
        else:
            self._failures = 0
            self._rest()
            self._done = None if chosen.loop.pause else seen

    def _rest(self) -> None:
        """A query chosen without a model ends no round, which would have said that all is done."""
        with store.write(self.db):
            if rounds.process(self.db, "learner")["activity"] != "ready" and not self.lease.is_lost(self.db):
                rounds.tell(self.db, "learner", activity="ready", done=0, total=0, error=None)

    def _give_up(self, reason: str, **told: Any) -> None:
        """Where even the reason cannot be stored, it is in the log. Whoever took over is not disturbed."""
        print(f"given up: {reason}", file=sys.stderr, flush=True)
        with _going_on():
            if not self.lease.is_lost(self.db):
                self.project.give_up(reason, **told)

    def _try_again(self, reason: str) -> None:
        """The round can be done when the cause is gone. Nobody says when that is."""
        pause = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
        self._failures += 1
        error = f"the round was given up: {reason} (trying again in {pause:g} s)"
        self._give_up(reason, activity="waiting", error=error)
        self._not_before = time.monotonic() + pause

    def _sight(self) -> Seen:
        """Everything that can make a round due. Cheap: it is looked at all the time."""
        importing = rounds.process(self.db, "import")["activity"]
        classes = project_store.counter(self.db, "class set")
        return labels.cursor(self.db), classes, json.dumps(project_store.facts(self.db).get("learning")), importing

    def _waits_for_import(self) -> bool:
        """The cold start wants all images, and a later round those that it had; else answers do not wait for them."""
        if rounds.process(self.db, "import")["activity"] == "complete":
            return False
        if rounds.load_state(self.db) is not None:
            return images.lack_pixels(self.db)
        chosen = settings.of_project(self.db)
        return labels.cursor(self.db) < (chosen.loop.new_labels or chosen.loop.query_size)

    def _take_lease(self, db: Database) -> bool:
        """Also False where it cannot be known now."""
        with _going_on(), store.write(db):
            return self.lease.take(db, time.time())
        return False

    def _tell(self, **values: Any) -> None:
        with store.write(self.db):
            rounds.tell(self.db, "learner", **values)

    def _is_orphan(self) -> bool:
        return os.getppid() != self.parent

    def _beat(self) -> None:
        """Renew the lease, notice a pause and the parent's death; on a connection of its own."""
        db = store.connect(self.instance / store.FILE)
        due = 0.0
        try:
            while not self.stopping.wait(PAUSE_SECONDS):
                if self._is_orphan():
                    break
                with _going_on():
                    self.paused = bool(rounds.process(db, "learner")["paused"])
                    if self.lease.is_lost(db):
                        break
                if time.monotonic() >= due:
                    due = time.monotonic() + HEARTBEAT_SECONDS
                    self._take_lease(db)
        finally:
            self.stopping.set()  # a process that nobody hears of must not go on
            db.close()


@contextlib.contextmanager
def _going_on() -> Iterator[None]:
    """A disk that is full or a file that is locked ends no process; the log has it."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)


def main(instance: Path) -> None:
    """The process: niced, on all cores but one, deaf to Ctrl+C (whoever started it says when to stop)."""
    import torch

    os.nice(10)
    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
    worker = Worker(instance)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: worker.stopping.set())
    worker.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
