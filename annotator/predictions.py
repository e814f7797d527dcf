"""One round's predictions for the whole project: a read-only SQLite file of their own.

Pages filter and sort it without ever making a label wait, and it is replaced as a whole or not at all.
"""

import hashlib
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotator.store import copy

FILE = "predictions.db"
SURELY_RETIRED = 0.01  # probability left for the other classes, below which they get no suggestion
_TABLES = """
CREATE TABLE classes (position INTEGER PRIMARY KEY, class_id INTEGER NOT NULL);
CREATE TABLE predictions (
    image_id INTEGER PRIMARY KEY, class_id INTEGER NOT NULL, confidence REAL NOT NULL,
    probs BLOB NOT NULL  -- little-endian float32, in the order of classes.position
);
"""


# class id then -> what it counts as now: another class after mergers, None for a retired one. See `class_meanings`
Meanings = Mapping[int, int | None]


@dataclass(frozen=True)
class Suggestion:
    """What a model says of one image, in the classes of now."""

    class_id: int
    confidence: float
    second_id: int | None  # None: there is only one
    second_confidence: float
    probs: dict[int, float]  # by class id


def write(path: Path, image_ids: NDArray[np.int64], probs: NDArray[np.floating], class_ids: list[int]) -> None:
    """Write (N,) ids and (N, C) probabilities; the file appears complete, on the disk, or not at all."""
    with copy.whole(path) as part, closing(sqlite3.connect(part)) as db:
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES)
        _fill(db, "main", image_ids, probs, class_ids)
        db.commit()


def _fill(
    db: sqlite3.Connection, where: str, image_ids: NDArray[np.int64], probs: NDArray[np.floating], class_ids: list[int]
) -> None:
    best = probs.argmax(1)
    rows = zip(image_ids.tolist(), best.tolist(), probs.max(1).tolist(), probs.astype("<f4"), strict=True)
    db.executemany(f"INSERT INTO {where}.classes VALUES (?, ?)", enumerate(class_ids))
    db.executemany(
        f"INSERT INTO {where}.predictions VALUES (?, ?, ?, ?)",
        ((i, class_ids[b], c, p.tobytes()) for i, b, c, p in rows),
    )


def attach(db: sqlite3.Connection, path: Path | None, meanings: Meanings | None = None) -> None:
    """Make a round's predictions the tables said.predictions and said.classes; empty ones where there is no file.

    The function `probability(probs, class_id)` reads one of `probs`; null for a class that the round did not know. The
    file is never locked: it is complete and does not change. Where classes changed since, the tables are a copy over
    the classes of now, as `read` has them: until the next round is finished.
    """
    if not _attach_file(db, path, meanings):
        db.execute("ATTACH ':memory:' AS said")
        db.executescript(_TABLES.replace("CREATE TABLE ", "CREATE TABLE said."))
        if path is not None and path.exists():
            _fill(db, "said", *_folded(path, meanings))
    positions = dict(db.execute("SELECT class_id, position FROM said.classes").fetchall())

    def probability(probs: bytes | None, class_id: int | None) -> float | None:
        if probs is None or class_id not in positions:
            return None
        value: float = struct.unpack_from("<f", probs, 4 * positions[class_id])[0]
        return value

    db.create_function("probability", 2, probability, deterministic=True)


def _attach_file(db: sqlite3.Connection, path: Path | None, meanings: Meanings | None) -> bool:
    """False: there is none, a newer round took its place meanwhile, or no copy for other classes could be kept."""
    if path is None or not path.exists():
        return False
    try:
        db.execute("ATTACH ? AS said", [f"{of_now(path, meanings).resolve().as_uri()}?mode=ro&immutable=1"])
    except (sqlite3.OperationalError, OSError) as error:
        if path.exists() and not isinstance(error, OSError):
            raise
        return False
    return True


def of_now(path: Path, meanings: Meanings | None) -> Path:
    """The file, or its copy over the classes of now: made once, kept beside it, gone with its round.

    Raises OSError where it cannot be written.
    """
    fold = _Fold(classes(path), meanings)
    if not fold.is_needed:
        return path
    mark = hashlib.blake2b(repr(fold.now).encode(), digest_size=8).hexdigest()
    kept = path.with_name(f"{path.stem}-{mark}.db")
    if not kept.exists():
        write(kept, *_folded(path, meanings))
    return kept


def _folded(path: Path, meanings: Meanings | None) -> tuple[NDArray[np.int64], NDArray[np.float64], list[int]]:
    """(N,) images, (N, C) probabilities and the C classes of now; without the images of which nothing is said."""
    with _opened(path) as file:
        fold = _Fold(_classes(file), meanings)
        rows = file.execute("SELECT image_id, probs FROM predictions ORDER BY image_id").fetchall()
    now = list(dict.fromkeys(each for each in fold.now if each is not None))
    then = np.frombuffer(b"".join(blob for _, blob in rows), "<f4").reshape(len(rows), -1)
    probs = np.zeros((len(rows), len(now)))
    for class_id, column in zip(fold.now, then.T, strict=True):
        if class_id is not None:
            probs[:, now.index(class_id)] += column
    left = probs.sum(1, keepdims=True) if None in fold.now else np.ones((len(rows), 1))
    says = left[:, 0] > SURELY_RETIRED
    return np.array([image for image, _ in rows], np.int64)[says], probs[says] / left[says], now


def read(path: Path, image_ids: Iterable[int], meanings: Meanings | None = None) -> dict[int, Suggestion]:
    """The suggestions for some images; an image the round did not know has none, a missing file has none at all.

    Merged classes have the sum of their probabilities; without the retired ones the others add up to 1 again.
    Without `meanings` the classes are those that the round knew.
    """
    if not path.exists():
        return {}
    wanted = ",".join(str(int(image)) for image in image_ids)
    try:
        with _opened(path) as db:
            fold = _Fold(_classes(db), meanings)
            rows = db.execute(f"SELECT image_id, probs FROM predictions WHERE image_id IN ({wanted})").fetchall()
    except sqlite3.OperationalError:
        if path.exists():
            raise
        return {}  # a newer round took its place between two lines of this
    found = ((image, fold(blob)) for image, blob in rows)
    return {image: _suggestion(probs) for image, probs in found if probs}


def _suggestion(probs: dict[int, float]) -> Suggestion:
    first, second = [*sorted(probs, key=lambda each: -probs[each]), None][:2]
    assert first is not None
    return Suggestion(first, probs[first], second, probs[second] if second is not None else 0.0, probs)


def read_all(path: Path, meanings: Meanings | None = None) -> dict[int, tuple[int, float]]:
    """Image id -> (class id, confidence) of everything the round knew, by id; as `read`."""
    with _opened(path) as db:
        fold = _Fold(_classes(db), meanings)
        rows = db.execute("SELECT image_id, class_id, confidence FROM predictions ORDER BY image_id").fetchall()
        if not fold.is_needed:
            return {image: (class_id, confidence) for image, class_id, confidence in rows}
    images, probs, now = _folded(path, meanings)
    best = zip(images.tolist(), probs.argmax(1).tolist(), probs.max(1).tolist(), strict=True) if now else ()
    return {image: (now[column], confidence) for image, column, confidence in best}


def classes(path: Path) -> list[int]:
    """The ids of the classes that the round knew, in the order of its probabilities; none without a file."""
    if not path.exists():
        return []
    with _opened(path) as db:
        return _classes(db)


class _Fold:
    """Probabilities over the classes of then, as probabilities over the classes of now."""

    def __init__(self, class_ids: list[int], meanings: Meanings | None) -> None:
        self.now: Sequence[int | None] = (
            class_ids if meanings is None else [meanings.get(class_id) for class_id in class_ids]
        )
        self.is_needed = self.now != class_ids

    def __call__(self, blob: bytes) -> dict[int, float]:
        """Empty where the model is sure of a retired class: it says nothing about the others."""
        probs: dict[int, float] = {}
        for class_id, probability in zip(self.now, np.frombuffer(blob, "<f4").tolist(), strict=True):
            if class_id is not None:
                probs[class_id] = probs.get(class_id, 0.0) + probability
        left = sum(probs.values()) if None in self.now else 1.0
        return {class_id: p / left for class_id, p in probs.items()} if left > SURELY_RETIRED else {}


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        yield db


def _classes(db: sqlite3.Connection) -> list[int]:
    return [row[0] for row in db.execute("SELECT class_id FROM classes ORDER BY position")]
