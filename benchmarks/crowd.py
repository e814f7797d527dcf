"""Many annotators at once, visitors who look at the pages, and what the processes take meanwhile."""

import http.client
import json
import random
import re
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from round_trip import Client

VISITORS = 4  # people who look at the pages, as often as the others label
PULSE = 2.0  # seconds between the heartbeats of a tab, as static/label.js has it
PAGES = {
    "label": "/", "review": "/review", "review, wrong": "/review?sort=wrong", "review, name": "/review?sort=name",
    "review, person": "/review?person=1&source=tail", "review, class, disagrees": "/review?class=1&disagrees=1",
    "progress": "/progress", "classes": "/classes", "export": "/export", "settings": "/settings", "files": "/files",
    "people": "/people", "account": "/account",
}  # fmt: skip
ANSWERS = {
    "status": "/api/status", "progress": "/api/progress", "history": "/api/history", "classes": "/api/classes",
    "all classes": "/api/classes/all", "one image": "/api/review/{image}", "sample": "/api/export?format=csv",
    "rendition": "/image/{image}",
}  # fmt: skip


class Annotator(Client):
    """A client that is also heard of every two seconds, as the page's tab is."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.times["heartbeat"] = []
        self.beaten = time.time() + self.rng.random() * PULSE

    def label(self, item: dict) -> None:
        super().label(item)
        if time.time() - self.beaten > PULSE:
            self.beaten = time.time()
            self.post("heartbeat", {"tab": self.tab, "images": [item["image"]]})


class Visitor(threading.Thread):
    """Calls every page and what it asks for, one after the other, until the end, with pauses between."""

    def __init__(self, port: int, images: list[int], end: float, pause: float = 0.0, seed: int = 0) -> None:
        super().__init__(daemon=True)
        self.port, self.images, self.end, self.pause = port, images, end, pause
        self.rng = random.Random(seed)
        self.times: dict[str, list[float]] = {}
        self.errors: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        turn = 0
        while time.time() < self.end or turn < 2:
            for kind, addresses in (("page", PAGES), ("api", ANSWERS)):
                for name, address in addresses.items():
                    image = self.images[(turn * 7919) % len(self.images)]
                    self._get(connection, f"{kind}: {name}", address.format(image=image))
                    time.sleep(self.rng.expovariate(1 / self.pause) if self.pause else 0)
            turn += 1
        connection.close()

    def _get(self, connection: http.client.HTTPConnection, name: str, address: str) -> None:
        started = time.perf_counter()
        connection.request("GET", address)
        answer = connection.getresponse()
        answer.read()
        self.times.setdefault(name, []).append(time.perf_counter() - started)
        if answer.status != 200:
            self.errors.append(f"{answer.status} {address}")


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Of so many requests, in milliseconds."""
    times = 1000 * np.array(seconds or [0.0])
    p50, p99 = np.percentile(times, (50, 99))
    return {"count": len(seconds), "p50_ms": _ms(p50), "p99_ms": _ms(p99), "max_ms": _ms(times.max())}


def _ms(value: float) -> float:
    return round(float(value), 1)


def work(
    port: int, known: dict[int, int], people: int, pause: float, seconds: float, *, visited: bool = False
) -> tuple[dict[str, Any], list[Client]]:
    """So many people label for so long; what their requests took, and those of visitors meanwhile."""
    end = time.time() + seconds
    crowd: list[Client] = [Annotator(port, known, pause, end, seed) for seed in range(people)]
    visitors = [Visitor(port, list(known), end, pause, seed) for seed in range(VISITORS if visited else 0)]
    started = time.perf_counter()
    for each in (*crowd, *visitors):
        each.start()
    for each in (*crowd, *visitors):
        each.join()
    took = time.perf_counter() - started
    found: dict[str, Any] = {"people": people, "pause_s": pause}
    for path in ("label", "next", "heartbeat"):
        found[path] = percentiles([time for client in crowd for time in client.times[path]])
    found["labels_per_second"] = round(found["label"]["count"] / took, 1)
    found["errors"] = sorted({error for each in (*crowd, *visitors) for error in each.errors})
    if visitors:
        names = visitors[0].times
        found["visitors"] = len(visitors)
        found["pages"] = {name: percentiles([time for v in visitors for time in v.times[name]]) for name in names}
    return found, crowd


class Watch(threading.Thread):
    """What the learning process does, several times a second."""

    def __init__(self, store: Path) -> None:
        super().__init__(daemon=True)
        self.store, self.stopping, self.seen = store, threading.Event(), Counter[str]()

    def run(self) -> None:
        with closing(sqlite3.connect(self.store, timeout=30)) as db:
            while not self.stopping.wait(0.2):
                row = db.execute("SELECT activity FROM processes WHERE name = 'learner'").fetchone()
                self.seen[re.sub(r"\d+", "n", row[0] or "nothing")] += 1

    def shares(self) -> dict[str, float]:
        """Activity -> share of the time."""
        self.stopping.set()
        self.join()
        return {name: round(count / self.seen.total(), 3) for name, count in self.seen.most_common()}


def memory(process: int) -> dict[str, float]:
    """MiB that a process has, and had at most; empty where the system does not tell."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    return {name: round(int(values[key].split()[0]) / 1024) for key, name in (("VmRSS", "now"), ("VmHWM", "most"))}


def children(process: int) -> dict[str, int]:
    """Module -> process id of what a process started with `python -m`."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            words = (path.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == process and b"-m" in words:
            found[words[words.index(b"-m") + 1].decode()] = int(path.parent.name)
    return found


def given_twice(crowd: list[Client]) -> int:
    """Images that more than one tab was given: every image is answered by the tab that has it."""
    given = Counter(image for client in crowd for image in set(client.given))
    return sum(count > 1 for count in given.values())


def post(port: int, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """One changing request of a browser of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", "/api/csrf")
    answer = connection.getresponse()
    headers = {"Content-Type": "application/json", "Cookie": (answer.getheader("Set-Cookie") or "").split(";")[0]}
    headers["X-CSRFToken"] = json.load(answer)["csrf"]
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    found: dict[str, Any] = json.load(answer)
    connection.close()
    return answer.status, found
