"""Starts, watches, restarts and stops the processes beside the server: the learning process and the import."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from annotator.errors import AnnotatorError
from annotator.store import db as store
from annotator.store import rounds

LOOK_SECONDS = 0.2
STOP_SECONDS = 10.0
BACKOFF_SECONDS = (0.5, 2.0, 5.0, 15.0, 30.0)
QUIET_SECONDS = 120.0  # a process that ran so long starts again at once

_STARTER = "ANNOTATOR_STARTER"  # in a process's environment: the id of the process that watches it

# glibc: without these, freeing every large tensor gives its pages back to the system, which halves the speed
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"}


def starter() -> int:
    """The process that this one belongs to and ends with, even if that was gone before this one could look."""
    return int(os.environ.get(_STARTER, os.getppid()))


class Job:
    """One process that ought to be there."""

    def __init__(self, name: str, module: str, instance: Path, *, forever: bool) -> None:
        self.name, self.module, self.instance, self.forever = name, module, instance, forever
        self.process: subprocess.Popen[bytes] | None = None
        self.failures = 0
        self.started = self.not_before = 0.0
        self.finished = False
        self.wanted = False  # once more, after the end
        self.untold: str | None = None  # why it ended, until that is stored

    def again(self) -> None:
        """Run once more: at once, or after the end of the run that may have begun too early to see what is new."""
        self.wanted = True

    def start(self) -> None:
        self.wanted = self.finished = False
        command = [sys.executable, "-m", self.module, str(self.instance)]
        with (self.instance / f"{self.name}.log").open("ab") as log:
            # its own session: Ctrl+C in the terminal reaches only the server, which then ends it properly
            self.process = subprocess.Popen(
                command, env={**os.environ, **_MALLOC, _STARTER: str(os.getpid())},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.started = time.monotonic()

    def look(self) -> str | None:
        """Start it if it ought to run. What went wrong, if it cannot be started or just ended by itself."""
        now = time.monotonic()
        if (self.finished and not self.wanted) or (self.process is None and now < self.not_before):
            return None
        if self.process is None:
            try:
                self.start()
            except OSError as error:
                return f"cannot be started: {error}; trying again in {self._back_off(now):g} s"
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.process = None
        if code == 0 and not self.forever:
            self.finished = True
            return None
        if now - self.started > QUIET_SECONDS:
            self.failures = 0
        return f"ended {_how(code)}; starting again in {self._back_off(now):g} s"

    def _back_off(self, now: float) -> float:
        """Seconds until the next start."""
        self.failures += 1
        pause = BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS)) - 1]
        self.not_before = now + pause
        return pause

    def stop(self) -> None:
        """Ask, wait, kill."""
        self.finished = True
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _how(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"with exit code {code}"
    name = signal.Signals(-code).name
    return f"by {name}" + (" (perhaps out of memory)" if name == "SIGKILL" else "")


class Supervisor:
    """Keeps the jobs of an instance running until `stop`."""

    def __init__(self, instance: Path, *, learner: bool = True) -> None:
        self.instance = instance
        self.jobs = [Job("import", "annotator.importer", instance, forever=False)]
        if learner:
            self.jobs.append(Job("learner", "annotator.worker", instance, forever=True))
        self._printed: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="supervisor")

    def start(self) -> None:
        self._thread.start()

    def rescan(self) -> None:
        """Look into the project's folder again."""
        self.jobs[0].again()

    def stop(self) -> None:
        """End every process and wait for it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for job in self.jobs:
            job.stop()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            for job in self.jobs:
                job.untold = job.look() or job.untold
                if job.untold:
                    self._tell(job, job.untold)
            self._stopping.wait(LOOK_SECONDS)

    def _tell(self, job: Job, reason: str) -> None:
        """Store the reason, or keep it until that can be done: a full disk or a locked file must not end the watch."""
        try:
            self._record(job, reason)
            job.untold = None
        except (sqlite3.Error, OSError, AnnotatorError) as error:
            if reason != self._printed:
                print(f"the {job.name} process {reason} (not stored: {error})", file=sys.stderr, flush=True)
            self._printed = reason

    def _record(self, job: Job, reason: str) -> None:
        """The reason on the page. What a crashed process said itself is worth more than its exit code."""
        with closing(store.connect(self.instance / store.FILE)) as db, store.write(db):
            last = rounds.process(db, job.name)
            said = f": {last['error']}" if last["activity"] == "crashed" else ""
            error = f"the {job.name} process {reason}{said} (more in {job.name}.log in the instance folder)"
            activity = last["activity"] if job.process else "restarting"  # it may be back before this could be stored
            rounds.tell(db, job.name, activity=activity, restarts=last["restarts"] + 1, error=error)
