"""Files: where each image lies in the project's folder, and what is wrong with the others."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sqlite_utils import Database

from annotator.export.filters import EVERY_LABEL, Filters, moment
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


_FILE = "files.path AS file, files.name AS path, images.id AS image, sha256, width, height, audit"
# every file that is there, and those of labeled images that have none left
_LABELED = """SELECT {file}, classes.id AS class_id, classes.name AS class, people.name AS person, current.status,
        round, source, strategy, score, probability, model, suggested.name AS suggested, suggestion_shown, via,
        seconds, labels.created, uuid{people}
    FROM {order}
    JOIN images ON images.id = current.image_id AND (NOT files.missing OR images.aside IS NOT NULL)
    JOIN labels ON labels.id = {answer}
    JOIN classes ON classes.id = current.class_id
    JOIN people ON people.id = person_id
    LEFT JOIN classes AS suggested ON suggested.id = suggested_id
    WHERE current.status = 'label'{image}"""
_UNLABELED = """SELECT {file}, NULL, NULL, NULL, coalesce(nullif(current.status, 'unlabeled'), ''),
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL{people}
    FROM {order}
    JOIN images ON images.id = current.image_id
    WHERE current.status <> 'label' AND NOT files.missing AND images.aside IS NULL{image}"""
# all in the order of their paths, so that nothing has to be sorted; or from some images to their files
_BY_PATH = "files CROSS JOIN states AS current ON current.image_id = files.image_id"
_BY_IMAGE = "states AS current CROSS JOIN files ON files.image_id = current.image_id"
_SAYS_SO = """(SELECT max(id) FROM answers
        WHERE image_id = current.image_id AND kind = 'label' AND class_id = current.class_id{answer})"""
# most often the newest answer of all; the view is asked only for the others
_NEWEST_SAYS_SO = f"""coalesce(
        (SELECT id FROM labels AS newest WHERE id = current.latest AND kind = 'label' AND current.class_id =
            coalesce((SELECT counts_as FROM classes WHERE classes.id = newest.class_id), newest.class_id)),
        {_SAYS_SO.format(answer="")})"""
_PEOPLE = """, (SELECT json_group_array(name) FROM (
        SELECT DISTINCT p.name FROM answers AS a JOIN people AS p ON p.id = a.person_id
        WHERE a.image_id = current.image_id AND a.kind = 'label' AND a.class_id = current.class_id
        ORDER BY p.name)) AS people"""
_AGREED = """ AND NOT EXISTS (SELECT 1 FROM answers AS a WHERE a.image_id = current.image_id
        AND a.kind <> 'skip' AND (a.kind <> 'label' OR a.class_id <> current.class_id))"""
_AUDIT = {"include": "", "only": " AND images.audit", "exclude": " AND NOT images.audit"}


def labeled(
    db: Database, filters: Filters = EVERY_LABEL, *, images: Iterable[int] | None = None, people: bool = False
) -> Iterator[dict[str, Any]]:
    """Every file of every image with a current label, by path, with the latest answer that says so.

    `file` is the path as bytes, `path` the same as text. With `filters.unlabeled` also the other images, without
    a class. `images`: only these. `people`: adds all who gave the label, as a JSON list.
    """
    values = {"since": moment(filters.since), "person": filters.person, "source": filters.source}
    values["names"] = json.dumps(filters.only_class)
    some = _on_answers(filters)
    parts = {"file": _FILE, "answer": _SAYS_SO.format(answer=some) if some else _NEWEST_SAYS_SO}
    parts |= {"people": _PEOPLE if people else "", "order": _BY_PATH if images is None else _BY_IMAGE}
    image = _AUDIT[filters.audit] + _among("current.image_id", images)
    sql = _LABELED.format(**parts, image=image + _on_labels(filters))
    if filters.unlabeled:
        sql += " UNION ALL " + _UNLABELED.format(**parts | {"people": ", '[]'" if people else ""}, image=image)
    return db.query(sql + " ORDER BY file", values)


def _on_answers(filters: Filters) -> str:
    """Conditions on the answer that gave the label."""
    since = " AND created >= :since" if filters.since else ""
    source = " AND source = :source" if filters.source else ""
    person = " AND person_id = (SELECT id FROM people WHERE name = :person)" if filters.person else ""
    return since + source + person


def _on_labels(filters: Filters) -> str:
    """Conditions on the label itself."""
    some = " AND classes.name IN (SELECT value FROM json_each(:names))" if filters.only_class else ""
    return some + (_AGREED if filters.agreed else "")


def _among(column: str, images: Iterable[int] | None) -> str:
    """Only these."""
    return "" if images is None else f" AND {column} IN ({','.join(str(int(image)) for image in images)})"
