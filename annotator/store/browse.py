"""Browse: images by what is said of them, one page at a time, and everything that was said of one.

A page is read by its key: what stands before it is never counted. Connections come from `reading`.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from sqlite_utils import Database

from annotator import predictions
from annotator.errors import NotFound
from annotator.store import db as store
from annotator.store import overview, project, rounds

# in the address -> in the table
STATUSES = {
    "labeled": "label", "unlabeled": "unlabeled", "conflict": "conflict", "unsure": "unsure", "flagged": "flag",
    "skipped": "skip", "retired": "retired",
}  # fmt: skip
SOURCES = ("query", "tail", "audit", "review", "import", "sweep", "oracle", "second_look")
PAGE = 60  # images
_LAST = 2.0  # a key behind every probability


@dataclass(frozen=True)
class Filter:
    """Which images; None and empty: all. Person, source and round must be those of one answer that stands."""

    status: str = ""  # one of STATUSES
    class_id: int | None = None  # the label that stands
    person_id: int | None = None
    source: str = ""
    round: int | None = None
    name: str = ""  # part of a file's name, whatever the case of a to z
    disagrees: bool = False  # the last round's prediction is not the label
    settled: bool = False  # nobody else is going to be asked
    low: float | None = None  # of that prediction's confidence, in [0, 1]
    high: float | None = None


@dataclass(frozen=True)
class Key:
    """Where an image stands in an order: no two have the same."""

    value: float | str
    image_id: int


# The probability that the last round gives the label which stands: "self-confidence", the label quality score of
# confident learning (Northcutt et al. 2021). The lowest are most likely wrong. Most of these labels have trained that
# very model, which makes it a biased judge: it has learned some of the errors too, and finds fewer than it should.
_SELF_CONFIDENCE = f"""coalesce(
    CASE WHEN p.class_id = s.class_id THEN p.confidence ELSE probability(p.probs, s.class_id) END, {_LAST})"""

_NAMED = """files f CROSS JOIN states s ON s.image_id = f.image_id AND NOT EXISTS (
    SELECT 1 FROM files WHERE image_id = f.image_id AND (name, id) < (f.name, f.id))"""


class _Order(NamedTuple):
    key: str
    image: str
    descending: bool
    table: str


SORTS = {
    "newest": _Order("s.latest", "s.image_id", True, "states s"),
    "wrong": _Order(_SELF_CONFIDENCE, "s.image_id", False, "states s NOT INDEXED"),  # all of them, side by side
    "name": _Order("f.name", "f.image_id", False, _NAMED),
}


@contextmanager
def reading(instance: Path) -> Iterator[Database]:
    """One moment of the store, with the last round's predictions beside it. No answer ever waits for a page."""
    db = store.connect_for_reading(instance / store.FILE)
    try:
        model = rounds.latest_model(db)
        path = instance / model["folder"] / predictions.FILE if model else None
        predictions.attach(db.conn, path, project.class_meanings(db))
        with store.snapshot(db):
            yield db
    finally:
        db.close()


def page(
    db: Database, wanted: Filter, sort: str, key: Key | None = None, *, backwards: bool = False, count: int = PAGE
) -> list[dict[str, Any]]:
    """Up to `count` images after the key, or before it, in the order of `sort`.

    [{image_id, status, class_id, key, sha256, width, height, predicted, confidence}]. An image whose key does not
    change is met once by whoever follows the pages; one that is answered meanwhile moves to its new place.
    """
    rows = _candidates(db, wanted, SORTS[sort], key, backwards, count)
    found = list(islice((row for row in rows if _stands(db, row["image_id"], wanted)), count))
    for row, face in zip(found, _faces(db, found), strict=True):
        row |= face
    return found[::-1] if backwards else found


def these(db: Database, hashes: list[str]) -> list[dict[str, Any]]:
    """The images with these SHA-256 in this order, as `page` has them; without those that are gone."""
    listed = ",".join("?" * len(hashes))
    sql = f"""SELECT s.image_id, s.status, s.class_id, p.class_id AS predicted, p.confidence, sha256, width, height
        FROM images i JOIN states s ON s.image_id = i.id LEFT JOIN said.predictions p ON p.image_id = i.id
        WHERE sha256 IN ({listed}) AND aside IS NULL"""
    rows = {row["sha256"]: row for row in db.query(sql, hashes)}
    return [rows[each] for each in hashes if each in rows]


def _candidates(
    db: Database, wanted: Filter, order: _Order, key: Key | None, backwards: bool, count: int
) -> Iterator[dict[str, Any]]:
    """Images in order. Of what is said of them, `_stands` has to look at those that it is asked for."""
    direction, beyond = ("DESC", "<") if order.descending != backwards else ("ASC", ">")
    clauses, values = _clauses(wanted)
    if key is not None:
        clauses.append(f"({order.key}, {order.image}) {beyond} (:key, :key_image)")
        values |= {"key": key.value, "key_image": key.image_id}
    sql = f"""SELECT s.image_id, s.status, s.class_id, {order.key} AS key, p.class_id AS predicted, p.confidence
        FROM {order.table} LEFT JOIN said.predictions p ON p.image_id = s.image_id
        WHERE {" AND ".join(clauses)} ORDER BY {order.key} {direction}, {order.image} {direction}"""
    return db.query(sql if _asks_for_an_answer(wanted) else f"{sql} LIMIT {count}", values)


# IN sets are found once, in the order in which they lie on the disk; +: a filter, never the way in
_CONDITIONS = {
    "status": "s.status = :status",
    "class_id": "s.class_id = :class_id",
    "name": "+s.image_id IN (SELECT image_id FROM files WHERE name LIKE :name ESCAPE '!')",
}
_CONFIDENCE = """+s.image_id IN (SELECT image_id FROM said.predictions
    WHERE confidence BETWEEN coalesce(:low, 0) AND coalesce(:high, 1))"""
_DISAGREES = """+s.image_id IN (SELECT q.image_id FROM said.predictions q
    CROSS JOIN states t ON t.image_id = q.image_id WHERE q.class_id <> t.class_id)"""
_SETTLED = "NOT EXISTS (SELECT 1 FROM queue WHERE image_id = s.image_id AND asked > '')"


def _clauses(wanted: Filter) -> tuple[list[str], dict[str, Any]]:
    """Conditions on states s, and their values."""
    values = vars(wanted) | {"status": STATUSES.get(wanted.status), "name": _containing(wanted.name)}
    clauses = [clause for name, clause in _CONDITIONS.items() if values[name] is not None]
    if wanted.low is not None or wanted.high is not None:
        clauses.append(_CONFIDENCE)
    if wanted.disagrees:
        clauses.append(_DISAGREES)
    if wanted.settled:
        clauses.append(_SETTLED)
    if _asks_for_an_answer(wanted):
        clauses.append(f"+s.image_id IN (SELECT image_id FROM labels WHERE {_same(wanted)})")
    return [*clauses, "s.image_id NOT IN (SELECT id FROM images WHERE aside IS NOT NULL)"], values


def _containing(text: str) -> str | None:
    """The pattern of LIKE for it."""
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return f"%{text}%" if text else None


def _asks_for_an_answer(wanted: Filter) -> bool:
    return bool(_same(wanted))


def _same(wanted: Filter) -> str:
    """The condition on one answer."""
    names = (name for name in ("person_id", "source", "round") if getattr(wanted, name) not in (None, ""))
    return " AND ".join(f"{name} = :{name}" for name in names)


def _stands(db: Database, image_id: int, wanted: Filter) -> bool:
    """Is there such an answer, neither undone nor replaced?"""
    if not _asks_for_an_answer(wanted):
        return True
    sql = f"SELECT 1 FROM answers WHERE image_id = :image_id AND {_same(wanted)} LIMIT 1"
    return db.execute(sql, vars(wanted) | {"image_id": image_id}).fetchone() is not None


def _faces(db: Database, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """{sha256, width, height} of each."""
    faces = overview.faces(db, [row["image_id"] for row in found])
    return [faces[row["image_id"]] for row in found]


def counts(db: Database) -> dict[str, int]:
    """Status -> images that can be seen."""
    found = overview.statuses(db)
    return {name: found[status] for name, status in STATUSES.items()}


def conflicts(db: Database) -> int:
    """Images that people disagree on, that no reviewer has decided, and of which nobody else is going to be asked."""
    sql = f"""SELECT count(*) FROM states AS s WHERE status = 'conflict' AND {_SETTLED}
        AND image_id NOT IN (SELECT id FROM images WHERE aside IS NOT NULL)"""
    return int(db.execute(sql).fetchone()[0])


def names(db: Database, image_ids: Iterable[int]) -> dict[int, list[str]]:
    """Image id -> the names of its files, first the one that sorts it."""
    chosen = ",".join(str(int(image)) for image in image_ids)
    sql = f"SELECT image_id, name FROM files WHERE image_id IN ({chosen}) ORDER BY name, id"
    found: dict[int, list[str]] = {}
    for image, name in db.execute(sql):
        found.setdefault(image, []).append(name)
    return found


def state(db: Database, image_id: int) -> dict[str, Any]:
    """One image as `page` has it, without a key. Raises NotFound."""
    sql = """SELECT s.image_id, s.status, s.class_id, sha256, width, height, p.class_id AS predicted, p.confidence
        FROM states s JOIN images i ON i.id = s.image_id LEFT JOIN said.predictions p ON p.image_id = s.image_id
        WHERE s.image_id = ?"""
    found = next(db.query(sql, [image_id]), None)
    if found is None:
        raise NotFound(f"there is no image {image_id} in this project; reload the page")
    return found


def history(db: Database, image_id: int) -> list[dict[str, Any]]:
    """Every answer about an image but undos, oldest first; `undone`: when it was taken back, or null."""
    sql = """SELECT a.kind, a.class_id, people.name AS person, a.created, a.seconds, a.via, a.source, a.round,
            a.suggested_id, a.suggestion_shown, a.late,
            (SELECT created FROM labels AS u WHERE u.undoes = a.uuid ORDER BY u.id LIMIT 1) AS undone
        FROM labels AS a JOIN people ON people.id = a.person_id
        WHERE a.image_id = ? AND a.kind <> 'undo' ORDER BY a.id"""
    return list(db.query(sql, [image_id]))


def people(db: Database) -> list[dict[str, Any]]:
    """[{id, name}] by name."""
    return list(db.query("SELECT id, name FROM people ORDER BY name"))


def opinion(db: Database, image_id: int, count: int = 3) -> list[dict[str, Any]]:
    """[{class, probability}] of the last round's likeliest classes, likeliest first; empty where it says nothing."""
    sql = """SELECT c.class_id AS class, probability(p.probs, c.class_id) AS probability
        FROM said.predictions p, said.classes c WHERE p.image_id = ? ORDER BY 2 DESC, c.position LIMIT ?"""
    return list(db.query(sql, [image_id, count]))
