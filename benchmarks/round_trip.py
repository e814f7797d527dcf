"""People labelling while a round trains on the same cores: how long does the server take?

    python benchmarks/round_trip.py [--clients 16] [--seconds 60] [--method basic]
    python benchmarks/round_trip.py --clients 64 --pause 0.8 --save-as round_trip-64

Two phases on one real server (waitress, the learning process beside it): clients that pause as people do, then a closed
loop without pauses. A client claims images, labels them truly, and at the end every acknowledged answer is looked up;
no image was given to two. The bare cost of a durable write on this disk (append and fsync) is measured right after the
people, and how many times as long their answers took stands beside it. Writes results/round_trip.json.
"""

import http.client
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import click
import numpy as np
from machine import save


class Client(threading.Thread):
    """One annotator: its own connection, cookie and tab. Claims six at a time, as the page does."""

    def __init__(self, port: int, truth: dict[int, int], pause: float, end: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.port, self.truth, self.pause, self.end = port, truth, pause, end
        self.rng = random.Random(seed)
        self.times: dict[str, list[float]] = {"label": [], "next": []}
        self.given: list[int] = []
        self.acknowledged: list[tuple[str, int]] = []
        self.errors: list[str] = []

    def run(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.tab, self.headers = uuid.uuid4().hex, {"Content-Type": "application/json"}
        self.connection.request("GET", "/api/csrf")
        answer = self.connection.getresponse()
        self.headers["Cookie"] = answer.getheader("Set-Cookie").split(";")[0]
        self.headers["X-CSRFToken"] = json.load(answer)["csrf"]
        time.sleep(self.rng.random() * self.pause)
        while time.time() < self.end:
            items = self.post("next", {"tab": self.tab, "count": 6, "have": []})["items"]
            if not items:
                break
            self.given += [item["image"] for item in items]
            for item in items:
                self.label(item)
        self.post("release", {"tab": self.tab, "images": None})
        self.connection.close()

    def label(self, item: dict) -> None:
        if self.pause:
            time.sleep(self.rng.expovariate(1 / self.pause))
        image, name = item["image"], str(uuid.uuid4())
        answer = {"tab": self.tab, "uuid": name, "image": image, "kind": "label", "class": self.truth[image]}
        if self.post("label", answer | {"via": "typed", "seconds": self.pause})["ok"]:
            self.acknowledged.append((name, image))

    def post(self, path: str, body: dict) -> dict:
        started = time.perf_counter()
        self.connection.request("POST", f"/api/{path}", json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        found = json.loads(answer.read())
        if path in self.times:
            self.times[path].append(time.perf_counter() - started)
        if answer.status != 200:
            self.errors.append(f"{answer.status} {found.get('error')}")
            return {"ok": False, "items": []}
        return found


def figures(clients: list[Client], seconds: float) -> dict:
    """Milliseconds and counts of a phase."""
    result: dict = {"errors": sorted({error for client in clients for error in client.errors})}
    for path in ("label", "next"):
        times = 1000 * np.array([t for client in clients for t in client.times[path]])
        p50, p99 = np.percentile(times, (50, 99))
        result[path] = {
            "count": len(times),
            "p50_ms": round(p50, 2),
            "p99_ms": round(p99, 2),
            "max_ms": round(times.max(), 1),
        }
    result["labels_per_second"] = round(result["label"]["count"] / seconds, 1)
    return result


def fsync_ms(folder: Path, count: int = 300) -> dict:
    """The floor: append a hundred bytes and wait for the disk."""
    times = []
    with (folder / "floor").open("ab", buffering=0) as file:
        for _ in range(count):
            started = time.perf_counter()
            file.write(b"x" * 100)
            os.fsync(file.fileno())
            times.append(1000 * (time.perf_counter() - started))
    return {
        "p50_ms": round(float(np.percentile(times, 50)), 2),
        "p99_ms": round(float(np.percentile(times, 99)), 2),
    }


def make_images(folder: Path, count: int) -> None:
    """Distinct 32 px images of two classes: file names say which."""
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 128, (32, 32, 3)) + 100 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:05d}-{number % 2}.png")


def truth(db: sqlite3.Connection) -> dict[int, int]:
    """Image id -> class id."""
    names = db.execute("SELECT image_id, name FROM files WHERE image_id IS NOT NULL").fetchall()
    return {image: int(re.search(r"-(\d)\.png", name).group(1)) + 1 for image, name in names}


def phase(port: int, known: dict[int, int], clients: int, pause: float, seconds: float) -> tuple[dict, list[Client]]:
    end = time.time() + seconds
    crowd = [Client(port, known, pause, end, seed) for seed in range(clients)]
    started = time.perf_counter()
    for client in crowd:
        client.start()
    for client in crowd:
        client.join()
    return figures(crowd, time.perf_counter() - started), crowd


def check(db: sqlite3.Connection, crowd: list[Client]) -> dict:
    """Every acknowledged answer is there once; no image was answered by two."""
    acknowledged = [answer for client in crowd for answer in client.acknowledged]
    stored = dict(db.execute("SELECT uuid, count(*) FROM labels GROUP BY uuid").fetchall())
    sql = "SELECT count(*) FROM (SELECT 1 FROM labels GROUP BY image_id HAVING count(*) > 1)"
    given = Counter(image for client in crowd for image in client.given)
    return {
        "acknowledged": len(acknowledged),
        "lost": sum(name not in stored for name, _ in acknowledged),
        "stored_twice": sum(stored.get(name, 0) > 1 for name, _ in acknowledged),
        "images_given_twice": sum(count > 1 for count in given.values()),
        "images_answered_twice": db.execute(sql).fetchone()[0],
        "locked_errors": sum("locked" in error for client in crowd for error in client.errors),
    }


def times_fsync(label: dict, fsync: dict) -> dict:
    """How many bare durable writes an answer takes as long as."""
    return {key: round(label[f"{key}_ms"] / fsync[f"{key}_ms"], 1) for key in ("p50", "p99")}


def start(folder: Path, method: str) -> subprocess.Popen[str]:
    """A real server on any free port, learning with small rounds."""
    command = [sys.executable, "-m", "annotator", "serve", str(folder / "photos")]
    command += ["--instance", str(folder / "instance")]
    command += ["--classes", "dark,bright", "--port", "0", "--no-browser", "--image-size", "32", "--query-size", "50"]
    command += ["--method", method]
    if method == "basic":
        command += ["--method-set", "depth=10", "--method-set", "width=1", "--method-set", "steps=300"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@click.command()
@click.option("--clients", default=16, show_default=True)
@click.option("--seconds", default=60, show_default=True, help="Of each phase.")
@click.option("--pause", default=1.0, show_default=True, help="Mean pause of a person, in seconds (exponential).")
@click.option("--images", default=20_000, show_default=True)
@click.option("--method", default="basic", show_default=True, help="What trains meanwhile.")
@click.option("--save-as", default="round_trip", show_default=True, help="Name of the file in results/.")
def main(clients: int, seconds: int, pause: float, images: int, method: str, save_as: str) -> None:
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=Path.cwd()) as name:
        folder = Path(name)
        make_images(folder / "photos", images)
        server = start(folder, method)
        port = int(re.search(r":(\d+)/", server.stdout.readline()).group(1))
        db = sqlite3.connect(folder / "instance" / "labels.db")
        while db.execute("SELECT activity FROM processes WHERE name = 'import'").fetchone()[0] != "complete":
            time.sleep(0.5)
        known = truth(db)
        _, first = phase(port, known, 2, 0.0, 3)  # enough labels for a round to begin
        time.sleep(2)
        people, second = phase(port, known, clients, pause, seconds)
        fsync = fsync_ms(folder)
        closed, third = phase(port, known, clients, 0.0, seconds / 3)
        rounds = db.execute("SELECT number, labels, train_seconds FROM rounds WHERE finished IS NOT NULL").fetchall()
        result = {"clients": clients, "pause_s": pause, "images": images, "method": method, "with_pauses": people,
                  "closed_loop": closed, "truth": check(db, first + second + third), "fsync": fsync,
                  "label_in_fsyncs": times_fsync(people["label"], fsync), "rounds_meanwhile": rounds}  # fmt: skip
        server.send_signal(signal.SIGTERM)
        server.wait()
    print(json.dumps(result, indent=1))
    print(save(save_as, result))


if __name__ == "__main__":
    main()
