"""The first ten minutes on a folder of photographs, as docs/first-ten-minutes.md tells them, with a clock.

    python benchmarks/first_minutes.py --data cifar10.npz [--images 4000] [--labels 400]

Makes photographs of 640 x 480 px: an image of the file (x_train, y_train) enlarged to 400 px, somewhere on the blurred
enlargement of another one. They are as unsharp as that sounds, and no photographs of anybody's. Then a person who
knows the answers, but slips in one of forty, labels one image a second on the real server, looks through the labels
that are most likely wrong, and takes everything away. Writes results/first_minutes.json.
"""

import http.client
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import numpy as np
from machine import save
from past import CLASSES as DRAWN
from PIL import Image, ImageFilter
from workplace import ended

from annotator import predictions
from annotator.store import browse, rounds
from annotator.store import db as store

CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SLIP_EVERY = 40  # labels
LOOKED_THROUGH = 60  # labels: one page of Review


def sources(data: Path | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 32, 32, 3) images and their classes: of the file, or drawn."""
    if data is not None:
        with np.load(data) as found:
            return found["x_train"][:count], found["y_train"][:count]
    rng, classes = np.random.default_rng(0), np.arange(count) % len(DRAWN)
    tints = rng.integers(0, 128, (len(DRAWN), 1, 1, 3))
    patches = rng.integers(0, 128, (count, 8, 8, 3)) + tints[classes]
    return patches.repeat(4, 1).repeat(4, 2).astype(np.uint8), classes


def make_photos(folder: Path, pixels: np.ndarray, names: list[str]) -> None:
    folder.mkdir()
    rng = np.random.default_rng(1)
    others = pixels[rng.permutation(len(pixels))]
    places = rng.integers(0, (241, 81), (len(pixels), 2))
    with ProcessPoolExecutor() as pool:
        list(pool.map(_make_photo, [folder] * len(pixels), names, pixels, others, places, chunksize=50))


def _make_photo(folder: Path, name: str, pixels: np.ndarray, other: np.ndarray, place: np.ndarray) -> None:
    photo = Image.fromarray(other).resize((640, 480), Image.Resampling.BICUBIC).filter(ImageFilter.BoxBlur(40))
    photo.paste(Image.fromarray(pixels).resize((400, 400), Image.Resampling.BICUBIC), tuple(place.tolist()))
    photo.save(folder / name, quality=88)


class Person:
    """Somebody at the label page who knows what the images show, and slips now and then."""

    def __init__(self, port: int, instance: Path, think: float) -> None:
        self.instance, self.think, self.count, self.slips = instance, think, 0, set[int]()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.tab, self.headers = uuid.uuid4().hex, {"Content-Type": "application/json"}
        self.connection.request("GET", "/api/csrf")
        answer = self.connection.getresponse()
        self.headers["Cookie"] = str(answer.getheader("Set-Cookie")).split(";")[0]
        self.headers["X-CSRFToken"] = json.load(answer)["csrf"]

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        self.connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, self.headers)
        answer = self.connection.getresponse()
        data = answer.read()
        assert answer.status == 200, (path, answer.status, data[:200])
        return json.loads(data) if path.startswith("/api/") else data

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("/api/status")["status"]
        return found

    def see(self) -> dict[str, Any] | None:
        """The next image, once it is on the screen; None: there is none left."""
        while not (items := self.ask("/api/next", {"tab": self.tab, "count": 1})["items"]):
            if self.status()["importing"] is None:
                return None
            time.sleep(0.02)
        self.ask(items[0]["url"])
        found: dict[str, Any] = items[0]
        return found

    def label(self, item: dict[str, Any] | None) -> None:
        time.sleep(self.think)
        if item is None:
            return
        image, said = item["image"], self.truth()[item["image"]]
        self.count += 1
        if self.count % SLIP_EVERY == 0:
            self.slips.add(image)
            said = said % len(self.classes()) + 1
        self.say(image, said)

    def say(self, image: int, said: int, **more: Any) -> None:
        answer = {"tab": self.tab, "uuid": str(uuid.uuid4()), "image": image, "kind": "label", "class": said}
        self.ask("/api/label", answer | more)

    def classes(self) -> dict[str, int]:
        with closing(sqlite3.connect(self.instance / store.FILE, timeout=30)) as db:
            return dict(db.execute("SELECT name, id FROM classes").fetchall())

    def truth(self) -> dict[int, int]:
        """Image id -> class id of all that are imported."""
        ids = self.classes()
        with closing(sqlite3.connect(self.instance / store.FILE, timeout=30)) as db:
            names = db.execute("SELECT image_id, name FROM files WHERE image_id IS NOT NULL").fetchall()
        return {image: ids[name.split("-")[1].removesuffix(".jpg")] for image, name in names}

    def look_through(self) -> dict[str, int]:
        """The first page of the labels that are most likely wrong; each that is wrong is corrected."""
        with browse.reading(self.instance) as db:
            rows = browse.page(db, browse.Filter(status="labeled"), "wrong", count=LOOKED_THROUGH)
        truth = self.truth()
        wrong = [row["image_id"] for row in rows if row["class_id"] != truth[row["image_id"]]]
        for image in wrong:
            self.say(image, truth[image], review=True)
        return {"slips": len(self.slips), "looked at": len(rows), "found and corrected": len(wrong)}


def right(instance: Path, truth: dict[int, int]) -> float:
    """Share of the unlabeled images of which the newest model is right: what nobody at the page can know."""
    with closing(store.connect(instance / store.FILE)) as db:
        model = rounds.latest_model(db)
        assert model is not None
        said = predictions.read_all(instance / model["folder"] / predictions.FILE)
        labeled = {image for (image,) in db.execute("SELECT DISTINCT image_id FROM labels").fetchall()}
    return float(np.mean([said[image][0] == truth[image] for image in said.keys() - labeled]))


def minutes(folder: Path, classes: tuple[str, ...], labels: int, think: float, words: list[str]) -> Iterator[tuple]:
    """(what, seconds since the command, more) of each step."""
    instance = folder / "instance"
    command = [sys.executable, "-m", "annotator", "serve", str(folder / "photos"), "--classes", ",".join(classes)]
    started = time.perf_counter()

    def clock() -> float:
        return round(time.perf_counter() - started, 1)

    process = subprocess.Popen(
        [*command, *words, "--instance", str(instance), "--port", "0", "--no-browser", "--seed", "0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with ended(process):
        assert process.stdout is not None
        port = int(re.findall(r":(\d+)/", process.stdout.readline())[0])
        person = Person(port, instance, think)
        person.ask("/")
        yield "the page is there", clock(), None
        item = person.see()
        yield "the first image can be labeled", clock(), None
        waiting = {
            "all images are imported": "importing",
            "the first model is there": "model",
            "an accuracy": "accuracy",
        }
        while (person.count < labels and item) or waiting:
            person.label(item)
            item = person.see()
            if person.count == min(40, labels):
                yield "40 labels", clock(), None
            now = person.status()
            for what, key in list(waiting.items()):
                if (now[key] is None) if key == "importing" else (now[key] is not None):
                    del waiting[what]
                    yield what, clock(), {"labels": person.count, key: now[key]}
        yield f"{person.count} labels", clock(), {"accuracy": now["accuracy"], "round": now["model"]}
        yield "the model is right on the pool", clock(), round(right(instance, person.truth()), 3)
        yield "suspicious labels looked through", clock(), person.look_through()
        for what in ("csv -o labels.csv", "model -o model"):
            subprocess.run([sys.executable, "-m", "annotator", "export", *what.split(), "--instance", str(instance)],
                           cwd=folder, check=True, capture_output=True)  # fmt: skip
            yield f"annotator export {what}", clock(), None


@click.command()
@click.option("--data", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="npz.  [default: drawn]")
@click.option("--images", default=4000, show_default=True)
@click.option("--labels", default=400, show_default=True, help="And on until there is an accuracy.")
@click.option("--think", default=1.0, show_default=True, help="Seconds of the person for an image.")
@click.option("--method", default="auto", show_default=True)
@click.option(
    "--save-as", default="first_minutes", show_default=True, help="Name of the file in results/; empty: none."
)
def main(data: Path | None, images: int, labels: int, think: float, method: str, save_as: str) -> None:
    classes = CIFAR if data else DRAWN
    pixels, known = sources(data, images)
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=Path.cwd()) as name:
        folder = Path(name)
        make_photos(folder / "photos", pixels, [f"{i:05d}-{classes[k]}.jpg" for i, k in enumerate(known.tolist())])
        steps = []
        for what, seconds, more in minutes(folder, classes, labels, think, ["--method", method]):
            click.echo(f"{seconds:7.1f} s  {what}" + (f": {more}" if more is not None else ""))
            steps.append({"what": what, "seconds": seconds, "more": more})
    result = {"images": images, "think_s": think, "method": method, "photos": "cifar10" if data else "drawn"}
    if save_as:
        click.echo(save(save_as, result | {"steps": steps}))


if __name__ == "__main__":
    main()
