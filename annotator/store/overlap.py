"""How many people are asked of an image, and who was. Nobody sees what another said."""

from dataclasses import dataclass, field
from typing import Any

from sqlite_utils import Database

from annotator.store.project import fact

KEY = "together"  # of the project's facts: {overlap, overlap_share}


@dataclass(frozen=True)
class Opinions:
    """What was said of an image, as the queue sees it."""

    needed: int  # people
    given: frozenset[int] = field(default_factory=frozenset)  # people whose answer stands; a file is nobody
    closed: bool = False  # flagged, decided by a reviewer, known from a file: nobody else is asked

    @property
    def complete(self) -> bool:
        return self.closed or len(self.given) >= self.needed

    @property
    def key(self) -> str:
        """As in `queue.asked`."""
        return f",{','.join(map(str, sorted(self.given)))}," if self.given else ""


def people(db: Database) -> int:
    """How many are asked of an image that several are asked of."""
    return int(_rule(db).get("overlap", 1))


def _rule(db: Database) -> dict[str, Any]:
    return fact(db, KEY) or {}


# The digits of `shuffle` behind the sixth: as random as the first ones, which already say what is in the audit. An
# image keeps its number for ever, so a larger share asks all images of a smaller one, and more.
_NEEDED = "iif(shuffle * 1e6 - CAST(shuffle * 1e6 AS INTEGER) < :share, :people, 1)"


def opinions(db: Database, image_id: int) -> Opinions:
    """Of one image."""
    sql = "SELECT person_id, kind, source FROM answers WHERE image_id = ?"
    rows = db.execute(sql, [image_id]).fetchall()
    closed = any(kind == "flag" or source in ("review", "import") for _, kind, source in rows)
    # not from the view `answers`: it leaves out who said a class that is retired by now
    asked = db.execute("SELECT DISTINCT person_id FROM standing WHERE image_id = ? AND source <> 'import'", [image_id])
    return Opinions(_needed(db, image_id), frozenset(person for (person,) in asked.fetchall()), closed)


def _needed(db: Database, image_id: int) -> int:
    rule = _values(db)
    if rule["people"] == 1:
        return 1
    sql = f"SELECT {_NEEDED} FROM images WHERE id = :image"
    return int(db.execute(sql, rule | {"image": image_id}).fetchone()[0])


def _values(db: Database) -> dict[str, Any]:
    rule = _rule(db)
    return {"people": int(rule.get("overlap", 1)), "share": float(rule.get("overlap_share", 1.0))}


_HEARD = f"""WITH said AS (
        SELECT DISTINCT image_id, person_id FROM standing WHERE source <> 'import' ORDER BY image_id, person_id),
    heard AS (
        SELECT image_id, count(*) AS given, ',' || group_concat(person_id) || ',' AS asked FROM said GROUP BY image_id),
    needs AS (SELECT id AS image_id, {_NEEDED} AS needed FROM images)"""

_ENOUGH = f"""{_HEARD} DELETE FROM queue WHERE asked > '' AND image_id IN (
    SELECT image_id FROM heard JOIN needs USING (image_id) WHERE given >= needed)"""

_MORE = f"""{_HEARD} INSERT INTO queue (image_id, source, round, strategy, score, probability, rank, asked)
    SELECT heard.image_id, source, coalesce(round, 0), strategy, score, probability, heard.image_id, asked
    FROM heard JOIN needs USING (image_id) JOIN images ON images.id = heard.image_id
        JOIN labels ON labels.id = (SELECT max(id) FROM labels
            WHERE image_id = heard.image_id AND source IN ('query', 'tail', 'audit', 'second_look'))
    WHERE given < needed AND aside IS NULL AND row IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM answers WHERE image_id = heard.image_id AND (kind = 'flag' OR source IN ('review', 'import')))
    ON CONFLICT (image_id) DO NOTHING"""


def follow(db: Database) -> None:
    """The setting changed, or images came back: those answered before wait for more opinions, or no longer.

    Call inside `write`.
    """
    db.execute(_ENOUGH, _values(db))
    if people(db) > 1:
        db.execute(_MORE, _values(db))


def waiting(db: Database) -> int:
    """Images that have an opinion and wait for another."""
    return int(db.execute("SELECT count(*) FROM queue WHERE asked > ''").fetchone()[0])
