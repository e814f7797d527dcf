"""The queue: which image is asked next, and who has it. A slot is handed out by one UPDATE ... RETURNING."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlite_utils import Database

from annotator.store.project import count_up

LEASE_SECONDS = 60.0
AUDIT_EVERY = 10  # every tenth slot asks an audit image
FILL_AUDIT = 10
FILL = 500  # images drawn at random at once when there is no ranking: finding them passes all that are answered

# nobody's, over, or from before the clock went back: then it ends too far ahead. A tab that still has the image renews
# its lease with the next heartbeat; if another was asked first, the later of the two answers is kept and marked late.
_FREE = f"(tab IS NULL OR leased_until < :now OR leased_until > :now + {2 * LEASE_SECONDS})"

# an image whose answers were all undone is in the queue already
_UNANSWERED = """aside IS NULL AND row IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM labels WHERE labels.image_id = images.id)
    AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.image_id = images.id)"""
_IMAGES = "(SELECT count(*) FROM images)"
_USABLE = f"({_IMAGES} - (SELECT count(*) FROM images WHERE aside IS NOT NULL))"
_AUDIT_SHARE = f"""(SELECT 1.0 * count(*) / {_USABLE} FROM images INDEXED BY images_audit
    WHERE audit = 1 AND aside IS NULL)"""

_TAIL = f"""INSERT INTO queue (image_id, source, round, strategy, rank)
    SELECT images.id, 'tail', 0, 'random', row_number() OVER (ORDER BY shuffle)
    FROM {{images}} WHERE audit = 0 AND {_UNANSWERED} ORDER BY shuffle LIMIT {FILL}"""
# while most images are open they are met soon in their order; later the open ones are fewer than those to pass
_MOST_ARE_OPEN = f"SELECT 2 * count(*) > {_IMAGES} FROM states WHERE status = 'unlabeled'"
_OPEN = "states INDEXED BY states_status CROSS JOIN images ON images.id = states.image_id AND status = 'unlabeled'"
_REFILL = {
    "audit": f"""INSERT INTO queue (image_id, source, round, strategy, probability, rank)
        SELECT id, 'audit', 0, 'random', {_AUDIT_SHARE}, 0
        FROM images INDEXED BY images_audit WHERE audit = 1 AND {_UNANSWERED} ORDER BY shuffle LIMIT {FILL_AUDIT}""",
    "tail": _TAIL.format(images="images INDEXED BY images_shuffle"),
    "tail of few": _TAIL.format(images=_OPEN),
}


def claim(
    db: Database, tab: str, person_id: int, count: int, now: float, have: Collection[int] = ()
) -> list[dict[str, Any]]:
    """Lease up to `count` slots to a tab, in asking order, none of the images it has. Call inside `write`.

    What was asked for again first, then the open query, the tail of the ranking, random images; every tenth slot is
    an audit image.
    """
    slots = []
    for _ in range(count):
        is_audit_turn = count_up(db, "served") % AUDIT_EVERY == 0
        others = ("second_look", "query", "tail")
        order = ("audit", *others) if is_audit_turn else (*others, "audit")
        slot = next(filter(None, (_take(db, source, tab, person_id, now, have) for source in order)), None)
        if slot is None:
            break
        slots.append(slot)
    return slots


def _take(
    db: Database, source: str, tab: str, person_id: int, now: float, have: Collection[int]
) -> dict[str, Any] | None:
    """The first free slot of a source, after refilling it where it refills."""
    slot = _lease_first(db, source, tab, person_id, now, have)
    if slot is None and source in _REFILL:
        db.execute(_refill(db, source))
        slot = _lease_first(db, source, tab, person_id, now, have)
    return slot


def _refill(db: Database, source: str) -> str:
    if source == "tail" and not db.execute(_MOST_ARE_OPEN).fetchone()[0]:
        return _REFILL["tail of few"]
    return _REFILL[source]


def _lease_first(
    db: Database, source: str, tab: str, person_id: int, now: float, have: Collection[int]
) -> dict[str, Any] | None:
    sql = f"""UPDATE queue SET tab = :tab, person_id = :person, leased_until = :until
        WHERE id = (SELECT id FROM queue WHERE source = :source AND {_FREE}
                    AND image_id NOT IN ({_listed(have)}) ORDER BY rank LIMIT 1) RETURNING *"""
    arguments = {"tab": tab, "person": person_id, "until": now + LEASE_SECONDS, "source": source, "now": now}
    return _one(db, sql, arguments)


def _one(db: Database, sql: str, arguments: Any) -> dict[str, Any] | None:
    """The only row. The cursor is read to its end: SQLite commits a RETURNING only then."""
    rows = list(db.query(sql, arguments))
    return rows[0] if rows else None


def slot_of(db: Database, image_id: int) -> dict[str, Any] | None:
    """The slot of an image that is in the queue."""
    return _one(db, "SELECT * FROM queue WHERE image_id = ?", [image_id])


def remove(db: Database, image_id: int) -> None:
    """Out of the queue: it has an answer. Call inside `write`."""
    db.execute("DELETE FROM queue WHERE image_id = ?", [image_id])


def put_back(db: Database, origin: dict[str, Any], tab: str, now: float) -> None:
    """An undone image is asked again, first and in the same tab, unless an answer stands. Call inside `write`."""
    if db.execute("SELECT 1 FROM answers WHERE image_id = ?", [origin["image_id"]]).fetchone():
        return
    slot = {key: origin[key] for key in ("image_id", "source", "strategy", "score", "probability", "person_id")}
    slot |= {"source": "audit" if origin["source"] == "audit" else "query", "round": origin["round"] or 0}
    slot |= {"rank": -1, "tab": tab, "leased_until": now + LEASE_SECONDS}
    db.table("queue").insert(slot, ignore=True)


def release(db: Database, tab: str, image_ids: Iterable[int] | None = None) -> None:
    """Give back what a tab holds: all, or these images. Call inside `write`."""
    chosen = "" if image_ids is None else f"AND image_id IN ({_listed(image_ids)})"
    db.execute(f"UPDATE queue SET tab = NULL, leased_until = NULL WHERE tab = ? {chosen}", [tab])


def renew(db: Database, tab: str, image_ids: Iterable[int], now: float) -> None:
    """The heartbeat of a tab: it still has these images. Call inside `write`."""
    sql = f"UPDATE queue SET leased_until = ? WHERE tab = ? AND image_id IN ({_listed(image_ids)})"
    db.execute(sql, [now + LEASE_SECONDS, tab])


def ask_again(db: Database, image_ids: Iterable[int]) -> int:
    """Ask answered images once more, in this order; returns how many come. Call inside `write`.

    One that is in the queue already keeps its place.
    """
    sql = """INSERT INTO queue (image_id, source, round, strategy, rank) VALUES (?, 'second_look', 0, NULL, ?)
        ON CONFLICT (image_id) DO NOTHING"""
    return sum(db.execute(sql, [image, rank]).rowcount for rank, image in enumerate(image_ids))


def _listed(ids: Iterable[int]) -> str:
    return ",".join(str(int(image)) for image in ids)


def publish(db: Database, picks: list[dict[str, Any]], source: str, now: float) -> None:
    """Replace the free slots of a source; what is on somebody's screen stays. Call inside `write`.

    Publishing the same picks again changes nothing that was answered. An undone image keeps its place in front.
    """
    db.execute(f"DELETE FROM queue WHERE source = :source AND rank >= 0 AND {_FREE}", {"source": source, "now": now})
    sql = f"""INSERT INTO queue (image_id, source, round, strategy, score, probability, rank)
        SELECT :image_id, :source, :round, :strategy, :score, :probability, :rank
        WHERE NOT EXISTS (SELECT 1 FROM answers WHERE image_id = :image_id)
        ON CONFLICT (image_id) DO UPDATE SET source = :source, round = :round, strategy = :strategy,
            score = :score, probability = :probability, rank = :rank WHERE {_FREE}"""
    for rank, pick in enumerate(picks):
        db.execute(sql, {**pick, "source": source, "rank": rank, "now": now})
    if source == "query":
        count_up(db, "ranking")
