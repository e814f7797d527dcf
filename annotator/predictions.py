"""One round's predictions for the whole project: a read-only SQLite file of their own.

Pages filter and sort it without ever making a label wait, and it is replaced as a whole or not at all.
"""

import sqlite3
import struct
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.store import copy

FILE = "predictions.db"
_TABLES = """
CREATE TABLE classes (position INTEGER PRIMARY KEY, class_id INTEGER NOT NULL);
CREATE TABLE predictions (
    image_id INTEGER PRIMARY KEY, class_id INTEGER NOT NULL, confidence REAL NOT NULL,
    probs BLOB NOT NULL  -- little-endian float32, in the order of classes.position
);
"""


@dataclass(frozen=True)
class Suggestion:
    """What a model says of one image."""

    class_id: int
    confidence: float
    second_id: int
    second_confidence: float
    probs: tuple[float, ...]  # in the order of the classes the model knows


def write(path: Path, image_ids: NDArray[np.int64], probs: NDArray[np.float32], class_ids: list[int]) -> None:
    """Write (N,) ids and (N, C) probabilities; the file appears complete, on the disk, or not at all."""
    best = probs.argmax(1)
    rows = zip(image_ids.tolist(), best.tolist(), probs.max(1).tolist(), probs.astype("<f4"), strict=True)
    with copy.whole(path) as part, closing(sqlite3.connect(part)) as db:
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES)
        db.executemany("INSERT INTO classes VALUES (?, ?)", enumerate(class_ids))
        db.executemany(
            "INSERT INTO predictions VALUES (?, ?, ?, ?)",
            ((i, class_ids[b], c, p.tobytes()) for i, b, c, p in rows),
        )
        db.commit()


def attach(db: sqlite3.Connection, path: Path | None) -> None:
    """Make a round's predictions the tables said.predictions and said.classes; empty ones where there is no file.

    The function `probability(probs, class_id)` reads one of `probs`; null for a class that the round did not know. The
    file is never locked: it is complete and does not change.
    """
    if not _attach_file(db, path):
        db.execute("ATTACH ':memory:' AS said")
        db.executescript(_TABLES.replace("CREATE TABLE ", "CREATE TABLE said."))
    positions = dict(db.execute("SELECT class_id, position FROM said.classes").fetchall())

    def probability(probs: bytes | None, class_id: int | None) -> float | None:
        if probs is None or class_id not in positions:
            return None
        value: float = struct.unpack_from("<f", probs, 4 * positions[class_id])[0]
        return value

    db.create_function("probability", 2, probability, deterministic=True)


def _attach_file(db: sqlite3.Connection, path: Path | None) -> bool:
    """False: there is none, or a newer round took its place meanwhile."""
    if path is None or not path.exists():
        return False
    try:
        db.execute("ATTACH ? AS said", [f"{path.resolve().as_uri()}?mode=ro&immutable=1"])
    except sqlite3.OperationalError:
        if path.exists():
            raise
        return False
    return True


def read(path: Path, image_ids: Iterable[int]) -> dict[int, Suggestion]:
    """The suggestions for some images; an image the round did not know has none, a missing file has none at all."""
    if not path.exists():
        return {}
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        class_ids = [row[0] for row in db.execute("SELECT class_id FROM classes ORDER BY position")]
        wanted = ",".join(str(int(image)) for image in image_ids)
        rows = db.execute(f"SELECT image_id, probs FROM predictions WHERE image_id IN ({wanted})").fetchall()
    except sqlite3.OperationalError:
        if path.exists():
            raise
        return {}  # a newer round took its place between two lines of this
    finally:
        db.close()
    return {image: _suggestion(np.frombuffer(blob, "<f4"), class_ids) for image, blob in rows}


def _suggestion(probs: NDArray[np.float32], class_ids: list[int]) -> Suggestion:
    second, first = np.argsort(probs, kind="stable")[-2:]
    return Suggestion(
        class_ids[first], float(probs[first]), class_ids[second], float(probs[second]), tuple(probs.tolist())
    )


def read_all(path: Path) -> dict[int, tuple[int, float]]:
    """Image id -> (class id, confidence) of everything the round knew, by id."""
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        rows = db.execute("SELECT image_id, class_id, confidence FROM predictions ORDER BY image_id").fetchall()
    finally:
        db.close()
    return {image: (class_id, confidence) for image, class_id, confidence in rows}
