"""A project with a past: many small images, and what several people said of them over the years."""

import json
import sqlite3
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image
from sqlite_utils import Database

from annotator.store import db as store
from annotator.store import labels, project

CLASSES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay")
PEOPLE = ("ann", "ben", "cleo", "dan")
SIDE = 64  # px
PER_FOLDER = 1000
AT_ONCE = 2000  # answers in one transaction

# what people say of an image, one after the other: person, kind, and by how much the class is wrong
_STORIES: tuple[tuple[tuple[int, str, int], ...], ...] = (
    ((0, "label", 0), (1, "label", 0)),
    ((1, "label", 0), (2, "label", 0), (3, "label", 0)),
    ((2, "label", 1), (2, "undo", 0), (2, "label", 0)),  # a slip, taken back
    ((3, "label", 2), (3, "label", 0)),  # corrected
    ((0, "skip", 0), (1, "label", 0)),
    ((1, "label", 0), (2, "label", 3)),  # a conflict
    ((2, "label", 0), (3, "label", 1), (0, "label", 0)),  # two against one
    ((3, "unsure", 0), (0, "label", 0)),
)


def make_images(folder: Path, count: int) -> None:
    """Patterns of 8 x 8 patches in the color of their class, as JPEG; file names say which. Always the same."""
    starts = range(0, count, PER_FOLDER)
    ends = [min(count, start + PER_FOLDER) for start in starts]
    with ProcessPoolExecutor() as pool:
        list(pool.map(_make_some, [folder] * len(starts), starts, ends))


def _make_some(folder: Path, start: int, end: int) -> None:
    some = folder / f"{start // PER_FOLDER:04d}"
    some.mkdir(parents=True)
    rng = np.random.default_rng(start)
    tints = np.random.default_rng(7).integers(0, 128, (len(CLASSES), 1, 1, 3))
    for number in range(start, end):
        patches = rng.integers(0, 128, (8, 8, 3)) + tints[number % len(CLASSES)]
        image = Image.fromarray(patches.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        image.save(some / f"{number:06d}-{CLASSES[number % len(CLASSES)]}.jpg", quality=85)


def decode_all(folder: Path) -> int:
    """Read and decode every file with Pillow, in this process alone; how many there were."""
    paths = sorted(folder.rglob("*.jpg"))
    for path in paths:
        with Image.open(path) as image:
            image.convert("RGB").load()
    return len(paths)


def truth(db: sqlite3.Connection) -> dict[int, int]:
    """Image id -> class id."""
    ids = dict(db.execute("SELECT name, id FROM classes").fetchall())
    names = db.execute("SELECT image_id, name FROM files WHERE image_id IS NOT NULL").fetchall()
    return {image: ids[name.rpartition("-")[2].removesuffix(".jpg")] for image, name in names}


def say(instance: Path, known: dict[int, int], count: int) -> int:
    """So many answers of several people, by the store's own function, about seven tenths of the images."""
    db = store.connect(instance / store.FILE)
    images = [row[0] for row in db.execute("SELECT id FROM images ORDER BY shuffle").fetchall()]
    spoken = images[: int(0.7 * len(images))]
    with store.write(db):
        people = [project.person_id(db, name) for name in PEOPLE]
    answers = islice(_answers(spoken, known, people, len(CLASSES)), count)
    stored = 0
    while some := list(islice(answers, AT_ONCE)):
        with store.write(db):
            stored += sum(labels.add(db, answer, "past", 0.0) for answer in some)
    db.close()
    return stored


def _answers(images: list[int], known: dict[int, int], people: list[int], classes: int) -> Iterator[labels.Answer]:
    """Whole stories, one image after the other; once through all, more opinions of the last person."""
    for number, image in enumerate(images):
        for step, (person, kind, wrong) in enumerate(_STORIES[number % len(_STORIES)]):
            name = f"past-{image}-{step}"
            said = 1 + (known[image] - 1 + wrong) % classes if kind == "label" else None
            undoes = f"past-{image}-{step - 1}" if kind == "undo" else None
            yield labels.Answer(name, image, kind, people[person], said, undoes, seconds=1.0)
    for image in images:
        yield labels.Answer(f"past-{image}-again", image, "label", people[3], known[image], seconds=1.0)


def bare(instance: Path, count: int) -> Database:
    """A store with so many labeled images that have no files: what an export of as many rows reads."""
    db = store.prepare(instance / store.FILE)
    with store.write(db):
        project.create(db, "bare", folder="photos", image_size=SIDE, seed=0)
        project.add_classes(db, list(CLASSES))
        people = [project.person_id(db, name) for name in PEOPLE]
        db.conn.executemany(
            "INSERT INTO images (id, sha256, row, width, height, shuffle, created) VALUES (?, ?, ?, 64, 64, 0.5, '')",
            ((i, f"{i:064x}", i) for i in range(1, count + 1)),
        )
        db.conn.executemany(
            "INSERT INTO files (path, name, image_id, size, mtime_ns) VALUES (?, ?, ?, 0, 0)",
            ((f"photos/{i:06d}.jpg".encode(), f"photos/{i:06d}.jpg", i) for i in range(1, count + 1)),
        )
        db.conn.executemany(
            """INSERT INTO labels (uuid, image_id, kind, class_id, person_id, round, source, strategy, score, via,
                seconds, created) VALUES (?, ?, 'label', ?, ?, ?, 'query', 'margin', 0.5, 'typed', 1.5, ?)""",
            (
                (str(uuid.UUID(int=i)), i, 1 + i % len(CLASSES), people[i % len(people)], i // 1000, store.utc_now())
                for i in range(1, count + 1)
            ),
        )
    return db


def kinds(db: sqlite3.Connection) -> dict[str, int]:
    """How many answers of each kind, and images by what stands."""
    said = db.execute("SELECT kind, count(*) FROM labels GROUP BY kind").fetchall()
    stands = db.execute("SELECT 'stands: ' || status, count(*) FROM states GROUP BY status").fetchall()
    found: dict[str, int] = dict(said) | dict(stands)
    return json.loads(json.dumps(found))
