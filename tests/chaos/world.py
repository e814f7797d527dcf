"""A real server with its learning process in a folder of its own: started, looked at, killed, started again."""

import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TESTS = Path(__file__).parents[1]
CLASSES = ",".join(map(str, range(10)))
QUERY_SIZE = 10
_WORKER = "annotator.worker"


def until(condition: Callable[[], Any], what: str, seconds: float = 90.0, every: float = 0.05) -> Any:
    """The first true value of the condition; AssertionError when there is none in time."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(every)
    return value


def write_images(folder: Path, count: int) -> None:
    """Distinct 8 px digits: the embedded ones, then again with noise. 00012-7.png is a seven."""
    from learner.datasets.embedded import digits_images

    folder.mkdir()
    rng = np.random.default_rng(0)
    pixels, classes = digits_images()
    for number in range(count):
        image = pixels[number % len(pixels)].astype(np.int16)
        if number >= len(pixels):
            image += rng.integers(-20, 21, image.shape)
        digit = classes[number % len(pixels)]
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{number:05d}-{digit}.png")


class World:
    """One instance; at most one server at a time, always on the same port."""

    def __init__(self, folder: Path, images: int) -> None:
        self.folder, self.file = folder, folder / "instance" / "labels.db"
        self.port = _free_port()
        self.server: subprocess.Popen[bytes] | None = None
        write_images(folder / "photos", images)
        (folder / "clock").write_bytes(struct.pack("d", 0.0))

    # ---- processes

    def start(self, *options: str) -> None:
        """Start the server; does not wait for it."""
        command = [sys.executable, "-m", "chaos.faulty", str(self.folder), "serve", str(self.folder / "photos")]
        command += ["--instance", str(self.file.parent), "--classes", CLASSES, "--image-size", "8", "--no-flip"]
        command += ["--query-size", str(QUERY_SIZE), "--seed", "1", "--port", str(self.port), "--no-browser", *options]
        paths = [TESTS / "chaos" / "clock", TESTS, TESTS.parent]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "CHAOS_CLOCK": str(self.folder / "clock")}
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def answers(self) -> bool:
        """Does the server reply?"""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/csrf", timeout=5):
                return True
        except OSError:
            assert self.server is None or self.server.poll() is None, (self.folder / "server.log").read_text()
            return False

    def learner(self) -> int | None:
        """The process id of the server's learning process."""
        children = (pid for pid, parent, command in _processes() if parent == self.server.pid and _WORKER in command)
        return next(children, None)

    def kill(self, *pids: int) -> None:
        """kill -9; returns when the server, if it is among them, is gone."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        if self.server.pid in pids:
            self.server.wait()

    def end(self) -> int:
        """What a service manager sends, as Ctrl+C; the exit code. A background job of a shell ignores SIGINT."""
        self.server.send_signal(signal.SIGTERM)
        return self.server.wait(30)

    def clean_up(self) -> None:
        """Nothing of this world stays behind, whatever happened."""
        for pid, _, command in _processes():
            if str(self.file.parent) in command:
                os.kill(pid, signal.SIGKILL)
        if self.server:
            self.server.wait()

    def turn_clock(self, seconds: float) -> None:
        """By so much the wall clock of server and learning process is wrong from now on."""
        with (self.folder / "clock").open("r+b") as file:
            file.write(struct.pack("d", seconds))

    # ---- the store, read without our own code

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open only as long as needed: who stays connected keeps a restarted server from recovering the file."""
        with closing(sqlite3.connect(self.file, timeout=30)) as db:
            db.execute("PRAGMA query_only = ON")
            yield db

    def ask(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        with self.reading() as db:
            return db.execute(sql, arguments).fetchall()

    def owner(self) -> str | None:
        """Who has the lease of the learning process."""
        return self.ask("SELECT owner FROM processes WHERE name = 'learner'")[0][0]

    def is_training(self) -> bool:
        """Is the learning process between the beginning of a round and its first prediction?"""
        (activity,) = self.ask("SELECT activity FROM processes WHERE name = 'learner'")[0]
        return activity in ("training", "embedding") and self.has_open_round()

    def has_open_round(self) -> bool:
        """Is the newest round unfinished, and without a model?"""
        newest = self.ask("SELECT finished, folder FROM rounds ORDER BY number DESC LIMIT 1")
        return newest == [(None, None)]

    def rounds(self) -> set[tuple[int, str]]:
        """Every finished round, with when."""
        return set(self.ask("SELECT number, finished FROM rounds WHERE finished IS NOT NULL"))

    def is_imported(self) -> bool:
        return self.ask("SELECT activity FROM processes WHERE name = 'import'") == [("complete",)]

    def truth(self) -> dict[int, int]:
        """Image id -> class id, from the names of the files."""
        classes = dict(self.ask("SELECT name, id FROM classes"))
        names = self.ask("SELECT image_id, name FROM files")
        return {image: classes[name.removesuffix(".png")[-1]] for image, name in names}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _processes() -> Iterator[tuple[int, int, str]]:
    """(process id, parent's, command line) of everything that runs; Linux."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            yield int(entry.name), int(parent), (entry / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
