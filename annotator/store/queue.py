"""The queue: which image is asked next, and who has it. A slot is handed out by one UPDATE ... RETURNING.

An image has one slot, whoever is asked. One that needs several opinions is on one screen at a time, and stays with the
names of those who gave theirs until there are enough: nobody is asked twice.
"""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlite_utils import Database

from annotator.store import overlap
from annotator.store.db import one
from annotator.store.overlap import Opinions
from annotator.store.project import count_up

LEASE_SECONDS = 60.0
AUDIT_EVERY = 10  # every tenth slot asks an audit image
DOUBTS = "confident_learning"  # the strategy of second looks that the model wants

# nobody's, over, or from before the clock went back: then it ends too far ahead. A tab that still has the image renews
# its lease with the next heartbeat; if another was asked first, the later of the two answers is kept and marked late.
_FREE = f"(tab IS NULL OR leased_until < :now OR leased_until > :now + {2 * LEASE_SECONDS})"

# an image whose answers were all undone is in the queue already
_UNANSWERED = """aside IS NULL AND row IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM labels WHERE labels.image_id = images.id)
    AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.image_id = images.id)"""
_AUDIT_SHARE = """1.0 * ((SELECT count(*) FROM images INDEXED BY images_audit WHERE audit = 1)
        - (SELECT count(*) FROM images WHERE aside IS NOT NULL AND audit = 1))
    / ((SELECT count(*) FROM images) - (SELECT count(*) FROM images WHERE aside IS NOT NULL))"""


class _Refill(NamedTuple):
    """Where images come from that no ranking names: they are drawn in the order of `shuffle`, which is random."""

    at_once: int  # how many
    images: str
    probability: str = "NULL"


_REFILL = {
    "audit": _Refill(10, "images INDEXED BY images_audit WHERE audit = 1", _AUDIT_SHARE),
    "tail": _Refill(100, "images INDEXED BY images_shuffle WHERE audit = 0"),
}


class _Kind(NamedTuple):
    """Which slots of a source: those that nobody answered, or those that wait for another opinion."""

    source: str
    waiting: bool = False
    only: str = ""  # SQL


_QUERY, _TAIL, _AUDIT = (_Kind(source) for source in ("query", "tail", "audit"))
_SECOND = _Kind("second_look", only=f"AND strategy IS NOT '{DOUBTS}'")  # what people want again
_DOUBTED = _Kind("second_look", only=f"AND strategy = '{DOUBTS}'")  # what the model doubts
_FURTHER = tuple(_Kind(source, True) for source in ("second_look", "query", "tail"))
_FURTHER_AUDIT = _Kind("audit", True)


def claim(
    db: Database, tab: str, person_id: int, count: int, now: float, have: Collection[int] = (), looks: float = 0
) -> list[dict[str, Any]]:
    """Lease up to `count` slots to a tab, in asking order, none of the images it has. Call inside `write`.

    What was asked for again first, then the open query, the tail of the ranking, random images; every tenth slot is
    an audit image. Where k people are asked, k - 1 of k slots are images that wait for another opinion, if there are
    any: neither they nor the query have to wait for the end of the other. `looks` of all slots are second looks, which
    also come when nothing else is left.
    """
    slots = []
    people = overlap.people(db)
    for _ in range(count):
        order = _order(count_up(db, "served"), people, looks)
        slot = next(filter(None, (_take(db, kind, tab, person_id, now, have) for kind in order)), None)
        if slot is None:
            break
        slots.append(slot)
    return slots


def _order(turn: int, people: int, looks: float) -> tuple[_Kind, ...]:
    """What is asked at this turn, as far as there is any. The turns of second looks lie between those of the audit."""
    further, audit = ((), (_AUDIT,)) if people == 1 else (_FURTHER, (_FURTHER_AUDIT, _AUDIT))
    others = (_SECOND, *further, _QUERY, _TAIL) if turn % people else (_SECOND, _QUERY, *further, _TAIL)
    doubted = (_DOUBTED,) if looks else ()
    is_theirs = int(looks * turn + 0.25) > int(looks * (turn - 1) + 0.25)
    first, last = (doubted, ()) if is_theirs else ((), doubted)
    return (*audit, *first, *others, *last) if turn % AUDIT_EVERY == 0 else (*first, *others, *audit, *last)


def _take(
    db: Database, kind: _Kind, tab: str, person_id: int, now: float, have: Collection[int]
) -> dict[str, Any] | None:
    """The first free slot of a kind, after refilling it where it refills."""
    slot = _lease_first(db, kind, tab, person_id, now, have)
    if slot is None and kind.source in _REFILL and not kind.waiting and refill(db, kind.source):
        slot = _lease_first(db, kind, tab, person_id, now, have)
    return slot


def refill(db: Database, source: str) -> int:
    """Draw the next images of `audit` or `tail` that nobody answered; how many there were. Call inside `write`.

    What lies before the place up to which was drawn is not looked at again. Triggers set the place back for an image
    that appears before it, and for one that leaves the queue unanswered.
    """
    at_once, from_images, probability = _REFILL[source]
    sql = f"""SELECT id, shuffle FROM {from_images} AND shuffle >= (SELECT place FROM drawn WHERE source = ?)
        AND {_UNANSWERED} ORDER BY shuffle LIMIT ?"""
    found = db.execute(sql, [source, at_once]).fetchall()
    place = found[-1][1] if len(found) == at_once else 1.0
    db.execute("UPDATE drawn SET place = ? WHERE source = ? AND place <> ?", [place, source, place])
    if found:
        (known,) = db.execute(f"SELECT {probability}").fetchone()
        sql = """INSERT INTO queue (image_id, source, round, strategy, probability, rank)
            VALUES (?, ?, 0, 'random', ?, ?)"""
        db.conn.executemany(sql, [(image, source, known, rank) for rank, (image, _) in enumerate(found, 1)])
    return len(found)


_FIRST = f"""SELECT id FROM queue WHERE source = :source AND asked = '' AND {_FREE} {{only}}
    AND image_id NOT IN ({{have}}) ORDER BY rank LIMIT 1"""

# From one group of people to the next through the index: however many images wait for somebody else, they are passed
# over at once.
_FIRST_FURTHER = f"""WITH RECURSIVE groups (asked) AS (
        SELECT min(asked) FROM queue WHERE source = :source AND asked > ''
        UNION ALL
        SELECT (SELECT min(asked) FROM queue WHERE source = :source AND asked > groups.asked) FROM groups
        WHERE groups.asked IS NOT NULL)
    SELECT first.id FROM groups JOIN queue AS first ON first.id = (
        SELECT id FROM queue WHERE source = :source AND asked = groups.asked AND {_FREE}
        AND image_id NOT IN ({{have}}) ORDER BY rank LIMIT 1)
    WHERE instr(groups.asked, :me) = 0 ORDER BY first.rank LIMIT 1"""


def _lease_first(
    db: Database, kind: _Kind, tab: str, person_id: int, now: float, have: Collection[int]
) -> dict[str, Any] | None:
    first = (_FIRST_FURTHER if kind.waiting else _FIRST).format(have=_listed(have), only=kind.only)
    sql = f"""UPDATE queue SET tab = :tab, person_id = :person, leased_until = :until
        WHERE id = ({first}) RETURNING *"""
    arguments = {"tab": tab, "person": person_id, "until": now + LEASE_SECONDS, "source": kind.source, "now": now}
    return one(db, sql, arguments | {"me": f",{person_id},"})


def slot_of(db: Database, image_id: int) -> dict[str, Any] | None:
    """The slot of an image that is in the queue."""
    return one(db, "SELECT * FROM queue WHERE image_id = ?", [image_id])


def answered(db: Database, answer: dict[str, Any]) -> None:
    """Out of the queue when enough was said, else back to wait for somebody else. Call inside `write`."""
    found = overlap.opinions(db, answer["image_id"])
    if found.complete:
        db.execute("DELETE FROM queue WHERE image_id = ?", [answer["image_id"]])
        return
    sql = "UPDATE queue SET asked = :asked, tab = iif(person_id = :person, NULL, tab) WHERE image_id = :image"
    values = {"asked": found.key, "person": answer["person_id"], "image": answer["image_id"]}
    if not db.execute(sql, values).rowcount:
        _insert(db, answer, answer["source"] if answer["source"] in _REFILL else "query", found)


def _insert(db: Database, origin: dict[str, Any], source: str, found: Opinions) -> None:
    """A slot for an image that can be used."""
    sql = """INSERT INTO queue (image_id, source, round, strategy, score, probability, rank, asked)
        SELECT :image_id, :source, :round, :strategy, :score, :probability, :rank, :asked
        FROM images WHERE id = :image_id AND aside IS NULL AND row IS NOT NULL"""
    slot = {key: origin[key] for key in ("image_id", "strategy", "score", "probability")}
    db.execute(sql, slot | {"source": source, "round": origin["round"] or 0, "rank": -1, "asked": found.key})


def put_back(db: Database, origin: dict[str, Any], tab: str, now: float) -> None:
    """An undone image is asked again, first and in the same tab, unless enough was said without. Inside `write`."""
    found = overlap.opinions(db, origin["image_id"])
    if found.complete:
        return
    if slot_of(db, origin["image_id"]) is None:
        _insert(db, origin, "audit" if origin["source"] == "audit" else "query", found)
    sql = f"""UPDATE queue SET asked = :asked, rank = -1, tab = :tab, person_id = :person, leased_until = :until
        WHERE image_id = :image AND (tab = :tab OR {_FREE}) AND NOT :again"""
    values = {"asked": found.key, "tab": tab, "person": origin["person_id"], "until": now + LEASE_SECONDS, "now": now}
    again = origin["person_id"] in found.given  # an earlier answer stands
    db.execute(sql, values | {"image": origin["image_id"], "again": again})
    db.execute("UPDATE queue SET asked = ? WHERE image_id = ?", [found.key, origin["image_id"]])


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

    One that is in the queue already keeps its place, unless it only waits there for another opinion or is doubted.
    """
    sql = f"""INSERT INTO queue (image_id, source, round, strategy, rank) VALUES (?, 'second_look', 0, NULL, ?)
        ON CONFLICT (image_id) DO UPDATE SET source = 'second_look', rank = excluded.rank, asked = '',
            strategy = iif(strategy = '{DOUBTS}', NULL, strategy)
        WHERE asked > '' OR (source = 'second_look' AND strategy = '{DOUBTS}')"""
    return sum(db.execute(sql, [image, rank]).rowcount for rank, image in enumerate(image_ids))


def _listed(ids: Iterable[int]) -> str:
    return ",".join(str(int(image)) for image in ids)


def forget(db: Database, source: str, now: float, condition: str = "true") -> None:
    """Drop the free slots of a source, but those of undone images. Call inside `write`."""
    sql = f"DELETE FROM queue WHERE source = :source AND asked = '' AND rank >= 0 AND {condition} AND {_FREE}"
    db.execute(sql, {"source": source, "now": now})


def publish(db: Database, picks: list[dict[str, Any]], source: str, now: float) -> None:
    """Replace the free slots of a source; what is on a screen or waits for another opinion stays. Inside `write`.

    Publishing the same picks again changes nothing that was answered. An undone image keeps its place in front.
    """
    forget(db, source, now)
    sql = f"""INSERT INTO queue (image_id, source, round, strategy, score, probability, rank)
        SELECT :image_id, :source, :round, :strategy, :score, :probability, :rank
        WHERE NOT EXISTS (SELECT 1 FROM answers WHERE image_id = :image_id)
        ON CONFLICT (image_id) DO UPDATE SET source = :source, round = :round, strategy = :strategy,
            score = :score, probability = :probability, rank = :rank WHERE {_FREE}"""
    for rank, pick in enumerate(picks):
        db.execute(sql, {**pick, "source": source, "rank": rank, "now": now})
    if source == "query":
        count_up(db, "ranking")
