"""The learning process: looks at the project, sees answers that no round has used, and trains.

A reconciler, not a job queue: killed at any point, it starts again and loses nothing but the round's work.
Run as `python -m annotator.worker INSTANCE`.
"""

import json
import os
import signal
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from annotator import settings
from annotator.project import StoreProject
from annotator.store import db as store
from annotator.store import labels, rounds
from annotator.store import project as project_store
from learner.errors import Cancelled, LearnerError
from learner.loop import advance

HEARTBEAT_SECONDS = 4.0
PAUSE_SECONDS = 0.5  # until a pause is noticed
LOOK_SECONDS = 0.2


class Worker:
    """One learning process on one instance."""

    def __init__(self, instance: Path) -> None:
        self.instance = instance
        self.owner = uuid.uuid4().hex
        self.stopping = threading.Event()
        self.paused = False
        self.parent = os.getppid()
        self.project = StoreProject(instance, check=self.check)
        self.db = self.project.db
        self._done: tuple[int, str, str] | None = None  # what was there at the last look, which left nothing to do

    def check(self) -> None:
        """Called with every progress report: Cancelled when somebody asked to stop or to pause."""
        if self.stopping.is_set() or self.paused:
            raise Cancelled

    def run(self) -> None:
        """Until SIGTERM, or until the parent process is gone."""
        while not self._take_lease():
            if self.stopping.wait(HEARTBEAT_SECONDS):
                return
        threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()
        self._tell(activity="ready", done=0, total=0)
        try:
            while not self.stopping.is_set():
                self._look()
                self.stopping.wait(LOOK_SECONDS)
        except Exception as error:
            self._tell(activity="crashed", error=f"{type(error).__name__}: {error}")
            raise
        with store.write(self.db):
            rounds.tell(self.db, "learner", activity="stopped", done=0, total=0)
            rounds.drop_lease(self.db, "learner", self.owner)

    def _look(self) -> None:
        """Advance if there is something to do; give a round up with its reason if it cannot be done."""
        seen = self._sight()
        if self.paused or seen == self._done or self._waits_for_import():
            return
        chosen = settings.of_project(self.db)
        try:
            advance(self.project, chosen.method, chosen.strategy, chosen.loop)
        except Cancelled:
            self._tell(activity="paused" if self.paused else "stopped", done=0, total=0)
            return
        except LearnerError as error:
            self._tell(activity="waiting", done=0, total=0, error=f"the round was given up: {error}")

        if not chosen.loop.pause:
            self._done = seen

    def _sight(self) -> tuple[int, str, str]:
        """Everything that can make a round due. Cheap: it is looked at all the time."""
        importing = rounds.process(self.db, "import")["activity"]
        return labels.cursor(self.db), json.dumps(project_store.facts(self.db).get("learning")), importing

    def _waits_for_import(self) -> bool:
        """The cold start wants all images; answers of a whole query do not wait for them."""
        if rounds.load_state(self.db) is not None:
            return False
        importing = rounds.process(self.db, "import")["activity"] != "complete"
        chosen = settings.of_project(self.db)
        return importing and labels.cursor(self.db) < (chosen.loop.new_labels or chosen.loop.query_size)

    def _take_lease(self) -> bool:
        with store.write(self.db):
            return rounds.take_lease(self.db, "learner", self.owner, time.time())

    def _tell(self, **values: Any) -> None:
        with store.write(self.db):
            rounds.tell(self.db, "learner", **values)

    def _beat(self) -> None:
        """Renew the lease, notice a pause and the parent's death; on a connection of its own."""
        db = store.connect(self.instance / store.FILE)
        due = 0.0
        while not self.stopping.wait(PAUSE_SECONDS):
            self.paused = bool(rounds.process(db, "learner")["paused"])
            if os.getppid() != self.parent:
                self.stopping.set()
            if time.monotonic() < due:
                continue
            due = time.monotonic() + HEARTBEAT_SECONDS
            with store.write(db):
                still_ours = rounds.take_lease(db, "learner", self.owner, time.time())
            if not still_ours:
                self.stopping.set()
        db.close()


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
