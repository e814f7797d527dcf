"""Files: where each image lies in the project's folder, and what is wrong with the others."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sqlite_utils import Database

from annotator.originals import printable


class Known(NamedTuple):
    """A file as it was when last seen."""

    image_id: int | None
    size: int  # 0, as the time, where it could not be read
    mtime_ns: int
    missing: bool
    problem: str | None
    has_pixels: bool = False  # of its image; not stored here


def known(db: Database) -> dict[bytes, Known]:
    """Every file ever seen, by path."""
    sql = """SELECT path, image_id, size, mtime_ns, missing, problem, row IS NOT NULL
        FROM files LEFT JOIN images ON images.id = image_id"""
    return {path: Known(*values) for path, *values in db.execute(sql)}


def named(db: Database) -> Iterator[tuple[str, int]]:
    """(name, image id) of every file that is an image, or was one when last seen."""
    yield from db.execute("SELECT name, image_id FROM files WHERE image_id IS NOT NULL")


def with_content(db: Database, sha256: str) -> str | None:
    """The name of a file that is there and has this content."""
    sql = "SELECT name FROM files JOIN images ON images.id = image_id WHERE sha256 = ? AND NOT missing ORDER BY name"
    row = db.execute(sql, [sha256]).fetchone()
    return row[0] if row else None


def put(db: Database, path: bytes, file: Known) -> None:
    """Store what is known of a file now. Call inside `write`."""
    sql = """INSERT INTO files (path, name, image_id, size, mtime_ns, missing, problem)
        VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET image_id = excluded.image_id,
            size = excluded.size, mtime_ns = excluded.mtime_ns, missing = excluded.missing,
            problem = excluded.problem"""
    db.execute(sql, [path, printable(path), *file[:5]])


def mark_missing(db: Database, path: bytes) -> None:
    """The file is gone. Nothing is kept of one that never was an image. Call inside `write`."""
    db.execute("DELETE FROM files WHERE path = ? AND image_id IS NULL", [path])
    db.execute("UPDATE files SET missing = 1, problem = NULL WHERE path = ?", [path])


def present(db: Database, image_ids: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """(image id, path) of the files of these images that are there, by image."""
    listed = ",".join(str(int(image_id)) for image_id in image_ids)
    chosen = f"NOT missing AND image_id IN ({listed})"
    yield from db.execute(f"SELECT image_id, path FROM files WHERE {chosen} ORDER BY 1, 2").fetchall()


# what is exported: every file that is there, and those of images that have none left
_EXPORTED = """SELECT files.path AS file, files.name AS path, images.id AS image, sha256, width, height,
        classes.id AS class_id, classes.name AS class, people.name AS person, current.status, round, source,
        strategy, score, probability, model, suggested.name AS suggested, suggestion_shown, via, seconds,
        labels.created, uuid
    FROM current
    JOIN labels ON labels.id = (
        SELECT max(id) FROM answers
        WHERE image_id = current.image_id AND kind = 'label' AND class_id = current.class_id)
    JOIN images ON images.id = current.image_id
    JOIN files ON files.image_id = images.id AND (NOT files.missing OR images.aside IS NOT NULL)
    JOIN classes ON classes.id = current.class_id
    JOIN people ON people.id = person_id
    LEFT JOIN classes AS suggested ON suggested.id = suggested_id
    WHERE current.status = 'label' ORDER BY file"""


def labeled(db: Database) -> Iterator[dict[str, Any]]:
    """Every file of every image with a current label, by path, with the latest answer that says so.

    `file` is the path as bytes, `path` the same as text.
    """
    return db.query(_EXPORTED)
