"""A real server in a process of its own, for tests of the command line and of the browser."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from annotator.store import db as store
from annotator.store import labels, project, queue


@dataclass
class Live:
    """A running server."""

    url: str
    process: subprocess.Popen[str]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def until(self, path: str, condition: Callable[[Any], Any], seconds: float = 60.0) -> Any:
        """Ask until the condition holds; returns the answer."""
        end = time.monotonic() + seconds
        while True:
            answer = self.get(path)
            if condition(answer):
                return answer
            if time.monotonic() > end:
                raise AssertionError(f"{path} did not change within {seconds} s: {answer}")
            time.sleep(0.1)


@contextmanager
def serving(*arguments: str, cwd: Path, ending: signal.Signals = signal.SIGTERM) -> Iterator[Live]:
    """Start `annotator ARGUMENTS` on a free port; at the end a signal must end it cleanly."""
    if ending is signal.SIGINT:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the background jobs of a shell ignore it
    command = [sys.executable, "-m", "annotator", *arguments, "--no-browser", "--port", "0"]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        first = process.stdout.readline()
        found = re.search(r"http://\S+", first)
        if not found:
            raise AssertionError(f"no address in {first!r}: {process.communicate()}")
        yield Live(found.group(), process)
        process.send_signal(ending)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, ""), out + err
    finally:
        process.kill()
        process.communicate()


def answer_truly(db: Database, count: int) -> None:
    """Answer the next images as their file names say: 07-cat.png is a cat."""
    names = {row["image_id"]: row["name"] for row in db.query("SELECT image_id, name FROM files")}
    classes = {row["name"]: row["id"] for row in project.classes(db)}
    for _ in range(count):
        with store.write(db):
            person = project.person_id(db, "ann")
            (slot,) = queue.claim(db, "tab", person, 1, time.time())
            image = slot["image_id"]
            true = classes[names[image].split("-")[1].removesuffix(".png")]
            labels.add(db, labels.Answer(f"u{image}", image, "label", person, true), "tab", time.time())
