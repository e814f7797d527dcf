"""Labels: append-only, idempotent by the browser's UUID. What stands is a view, never a column."""

from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from annotator.errors import Contradiction, NotFound
from annotator.store import overlap, queue
from annotator.store.db import insert, one, utc_now

FEW = 5000  # images that are looked up one by one
KINDS = ("label", "skip", "unsure", "flag", "undo")
_ORIGIN = ("round", "source", "strategy", "score", "probability")


@dataclass(frozen=True)
class Answer:
    """What a person said of an image."""

    uuid: str
    image_id: int
    kind: str  # one of KINDS
    person_id: int
    class_id: int | None = None
    undoes: str | None = None
    via: str = "typed"
    seconds: float | None = None
    model: int | None = None
    suggested_id: int | None = None
    suggestion_shown: bool = False
    source: str | None = None  # review: a reviewer's word, which wins; None: as the image was asked


def add(db: Database, answer: Answer, tab: str, now: float) -> bool:
    """Store an answer; its image leaves the queue when enough was said. False: stored before. Inside `write`.

    Raises NotFound for an image, class or answer that does not exist, and Contradiction for a UUID
    that came before with another answer.
    """
    if _is_repeated(db, answer):
        return False
    _check(db, answer)
    slot = queue.slot_of(db, answer.image_id)
    row = {key: getattr(answer, key) for key in Answer.__dataclass_fields__}
    row |= _origin(db, answer, slot)
    row |= {"late": _is_late(db, answer, slot, tab, now), "created": utc_now()}
    insert(db, "labels", row)
    if answer.kind == "undo":
        queue.put_back(db, row, tab, now)
    else:
        queue.answered(db, row)
    return True


def _is_repeated(db: Database, answer: Answer) -> bool:
    sql = "SELECT image_id, kind, class_id, undoes FROM labels WHERE uuid = ?"
    before = db.execute(sql, [answer.uuid]).fetchone()
    if before and before != (answer.image_id, answer.kind, answer.class_id, answer.undoes):
        raise Contradiction(f"answer {answer.uuid} came twice with different contents; the first one stays")
    return before is not None


def _check(db: Database, answer: Answer) -> None:
    """NotFound for whatever the answer names that is not there."""
    if not db.execute("SELECT 1 FROM images WHERE id = ?", [answer.image_id]).fetchone():
        raise NotFound(f"there is no image {answer.image_id} in this project; reload the page")
    for class_id in (answer.class_id, answer.suggested_id):
        if class_id is not None and not db.execute("SELECT 1 FROM classes WHERE id = ?", [class_id]).fetchone():
            raise NotFound(f"there is no class {class_id} in this project; reload the page")
    if answer.kind == "undo":
        sql = "SELECT 1 FROM labels WHERE uuid = ? AND person_id = ? AND image_id = ? AND kind <> 'undo'"
        if not db.execute(sql, [answer.undoes, answer.person_id, answer.image_id]).fetchone():
            raise NotFound(f"there is no answer {answer.undoes} of yours to undo; reload the page")


def _origin(db: Database, answer: Answer, slot: dict[str, Any] | None) -> dict[str, Any]:
    """Why the image was asked: from its queue slot, else from its latest earlier answer, else nobody asked."""
    if answer.source == "review" and answer.kind != "undo":
        return dict.fromkeys(_ORIGIN) | {"source": "review"}
    if slot is None:
        sql = """SELECT * FROM labels WHERE image_id = ? AND source NOT IN ('import', 'review')
            ORDER BY id DESC LIMIT 1"""
        slot = one(db, sql, [answer.image_id]) or _unasked(db, answer.image_id)
    return {key: slot.get(key) for key in _ORIGIN}


def _unasked(db: Database, image_id: int) -> dict[str, Any]:
    audit = db.execute("SELECT audit FROM images WHERE id = ?", [image_id]).fetchone()[0]
    return {"round": None, "source": "audit" if audit else "tail"}


def _is_late(db: Database, answer: Answer, slot: dict[str, Any] | None, tab: str, now: float) -> bool:
    """Could somebody else have been asked instead? Second thoughts are late where enough others' answers stand."""
    if answer.source == "review":
        return False
    if slot is not None and slot["tab"] == tab and slot["leased_until"] >= now:
        return False
    mine = "SELECT 1 FROM labels WHERE image_id = ? AND person_id = ? AND source <> 'import' LIMIT 1"
    if not db.execute(mine, [answer.image_id, answer.person_id]).fetchone():
        return True
    sql = """SELECT count(DISTINCT person_id) FROM standing
        WHERE image_id = ? AND source <> 'import' AND person_id <> ? AND NOT late"""
    (others,) = db.execute(sql, [answer.image_id, answer.person_id]).fetchone()
    return bool(others >= overlap.opinions(db, answer.image_id).needed)


def history(db: Database, person_id: int, count: int = 10) -> list[dict[str, Any]]:
    """The person's last standing answers, newest first."""
    sql = """SELECT uuid, image_id, kind, class_id, sha256 FROM answers JOIN images ON images.id = image_id
        WHERE person_id = ? ORDER BY answers.id DESC LIMIT ?"""
    return list(db.query(sql, [person_id, count]))


def cursor(db: Database) -> int:
    """The id of the newest answer; 0 before the first."""
    return int(db.execute("SELECT coalesce(max(id), 0) FROM labels").fetchone()[0])


def latest_time(db: Database) -> str | None:
    """When the newest answer was stored."""
    row = db.execute("SELECT created FROM labels ORDER BY id DESC LIMIT 1").fetchone()
    return row[0] if row else None


def changed_since(db: Database, cursor: int) -> list[dict[str, Any]]:
    """[{image_id, class_id, status}] of every image that trains and has news: an answer newer than the cursor.

    status is null for an image whose answers were all undone. Another person who says the same is no news.
    """
    sql = """SELECT states.image_id, states.class_id, nullif(status, 'unlabeled') AS status
        FROM states JOIN images ON images.id = states.image_id
        WHERE states.image_id IN (SELECT image_id FROM labels WHERE id > ?) AND NOT audit ORDER BY states.image_id"""
    changed = list(db.query(sql, [cursor]))
    confirmed = _confirmed(db, [row["image_id"] for row in changed], cursor) if cursor else set()
    return [row for row in changed if row["image_id"] not in confirmed]


def _confirmed(db: Database, images: list[int], cursor: int) -> set[int]:
    """Those whose newer answers only say once more what stood at the cursor; of too many at once none is looked up."""
    if len(images) > FEW:
        return set()
    sql = f"""SELECT image_id FROM standing AS s LEFT JOIN classes ON classes.id = class_id
        WHERE image_id IN ({",".join(map(str, images))}) GROUP BY image_id
        HAVING min(kind = 'label') AND count(DISTINCT coalesce(counts_as, class_id)) = 1 AND min(s.id) <= :cursor
            AND count(DISTINCT person_id) > 1 AND NOT EXISTS (SELECT 1 FROM labels AS u
                WHERE u.image_id = s.image_id AND u.id > :cursor AND u.kind = 'undo')"""
    return {image for (image,) in db.execute(sql, {"cursor": cursor}).fetchall()}


def audit_labels(db: Database) -> list[tuple[int, int]]:
    """(image id, class id) of every audit image with a current label, by image id."""
    sql = """SELECT states.image_id, states.class_id FROM states
        JOIN images ON images.id = states.image_id AND images.audit
        WHERE status = 'label' ORDER BY states.image_id"""
    return [(row["image_id"], row["class_id"]) for row in db.query(sql)]


def counts(db: Database) -> dict[int, int]:
    """Class id -> images with that current label."""
    sql = "SELECT class_id, count(*) AS n FROM states WHERE class_id IS NOT NULL GROUP BY class_id"
    return {row["class_id"]: row["n"] for row in db.query(sql)}
