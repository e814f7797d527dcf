"""What people said of the same images without knowing of each other, and how each of them works.

Files are nobody, and a reviewer's decision was made knowing what others said: neither is an opinion. Nor is a second
look: its images were chosen because somebody probably erred.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from sqlite_utils import Database

from annotator import agreement
from annotator.store.queue import DOUBTS
from annotator.store.tally import SEEN, STANDS, Rows, Tally

LONGEST = 120.0  # seconds that one answer counts for: who thinks for longer is at lunch

# the last answer of each person to each image; max() chooses the row of the other columns too
_SAID = f"""SELECT image_id, person_id, max(id) AS id, kind, class_id FROM seen
    WHERE {STANDS} AND source NOT IN ('review', 'import') AND strategy IS NOT '{DOUBTS}'"""

# images of which the same people said the same, together: there are few of those
_TOGETHER = f"""WITH {SEEN}, said AS ({_SAID} GROUP BY image_id, person_id)
    SELECT audit, opinions, count(*) FROM (
        SELECT images.audit AS audit, group_concat(person_id || ':' || coalesce(counts_as, class_id)) AS opinions
        FROM said JOIN classes ON classes.id = class_id JOIN images ON images.id = image_id
        WHERE kind = 'label' GROUP BY image_id HAVING count(*) > 1)
    GROUP BY audit, opinions"""

_DECIDED = f"""WITH {SEEN},
    decided AS (SELECT image_id, max(id) AS id, class_id FROM seen
        WHERE {STANDS} AND source = 'review' AND kind = 'label' GROUP BY image_id),
    said AS ({_SAID} AND image_id IN (SELECT image_id FROM decided) GROUP BY image_id, person_id)
    SELECT said.person_id, count(*), sum(coalesce(mine.counts_as, mine.id) = coalesce(theirs.counts_as, theirs.id))
    FROM decided JOIN said ON said.image_id = decided.image_id AND said.kind = 'label'
        JOIN classes AS mine ON mine.id = said.class_id JOIN classes AS theirs ON theirs.id = decided.class_id
    GROUP BY said.person_id"""

_WORK = f"""WITH {SEEN}
    SELECT person_id, count(*) AS answers, sum(kind = 'label') AS labels,
        sum(kind = 'label' AND seconds IS NOT NULL) AS timed,
        coalesce(sum(CAST(round(1000 * min(seconds, {LONGEST})) AS INTEGER)), 0) AS active_ms,
        sum(kind = 'skip') AS skipped, sum(kind = 'unsure') AS unsure, sum(kind = 'flag') AS flagged,
        sum(kind = 'label' AND suggestion_shown AND source <> 'review') AS shown,
        sum(kind = 'label' AND suggestion_shown AND source <> 'review' AND class_id = suggested_id) AS taken
    FROM seen WHERE {STANDS} AND source <> 'import' GROUP BY person_id"""

_TIMED = "FROM labels WHERE kind = 'label' AND seconds IS NOT NULL"


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    count: int = 0
    of: int = 0


@dataclass
class Together:
    """What several people said of the same images."""

    units: Counter[tuple[int, ...]] = field(default_factory=Counter)  # see annotator.agreement
    pairs: dict[tuple[int, int], Counter[tuple[int, int]]] = field(default_factory=dict)  # people -> what they said
    with_others: dict[int, Share] = field(default_factory=dict)  # person -> where most of the others say one class
    in_audit: dict[int, Share] = field(default_factory=dict)  # the same on the images that measure

    def add(self, said: list[tuple[int, int]], count: int, *, audit: bool) -> None:
        """So many images more, or less, of which these people, in order, said these classes."""
        _add(self.units, tuple(sorted(each for _, each in said)), count)
        for (one, here), (other, there) in combinations(said, 2):
            _add(self.pairs.setdefault((one, other), Counter()), (here, there), count)
        for person, agrees in _with_others(said).items():
            for shares in (self.with_others, *([self.in_audit] if audit else [])):
                _more(shares, person, count * agrees, count)


class Opinions(Tally):
    """All of it."""

    def __init__(self) -> None:
        self.together = Together()
        self.decided: dict[int, Share] = {}  # person -> labels that the reviewer's decision says too
        self.work: dict[int, Counter[str]] = {}  # person -> see `work_of`

    def add(self, rows: Rows, sign: int) -> None:
        for audit, text, count in rows(_TOGETHER):
            said = sorted((int(person), int(said)) for person, said in (part.split(":") for part in text.split(",")))
            self.together.add(said, sign * count, audit=bool(audit))
        for person, count, same in rows(_DECIDED):
            _more(self.decided, person, sign * same, sign * count)
        for person, *values in rows(_WORK):
            for column, value in zip(_COLUMNS, values, strict=True):
                _add(self.work.setdefault(person, Counter()), column, sign * value)

    @classmethod
    def depends_on(cls, db: Database) -> tuple[Any, ...]:
        """Which images are in the audit, and what classes count as."""
        audit = db.execute("SELECT count(*), sum(id) FROM images INDEXED BY images_audit WHERE audit = 1").fetchone()
        return (*audit, *db.execute("SELECT id, counts_as FROM classes WHERE counts_as IS NOT NULL ORDER BY id"))


_COLUMNS = ("answers", "labels", "timed", "active_ms", "skipped", "unsure", "flagged", "shown", "taken")  # of _WORK


def _add(counter: Counter[Any], key: Any, count: int) -> None:
    """Without a trace of what is none any more."""
    counter[key] += count
    if not counter[key]:
        del counter[key]


def _more(shares: dict[int, Share], person: int, count: int, of: int) -> None:
    before = shares.pop(person, Share())
    if before.of + of:
        shares[person] = Share(before.count + count, before.of + of)


def _with_others(said: list[tuple[int, int]]) -> dict[int, bool]:
    """Person -> said the same as more than half of the others; without those whose others do not agree so far."""
    counts = Counter(each for _, each in said)
    found = {}
    for person, mine in said:
        others = counts - Counter([mine])
        (likeliest, number), *_ = others.most_common(1)
        if 2 * number > len(said) - 1:
            found[person] = mine == likeliest
    return found


def work_of(counted: Opinions, medians: Mapping[int, float]) -> dict[int, dict[str, Any]]:
    """Person -> {answers, labels, timed, active, median, skipped, unsure, flagged, shown, taken} of what stands.

    timed: labels whose time is known. active, median: seconds, the latter from `medians`. taken: suggestions that are
    the label, of those shown.
    """
    return {
        person: {column: row[column] for column in _COLUMNS}
        | {"active": row["active_ms"] / 1000, "median": medians.get(person)}
        for person, row in counted.work.items()
        if row["answers"]
    }


def medians(db: Database) -> dict[int, float]:
    """Person -> seconds that half of the labels took at most, those taken back too: the middle of an index."""
    found = {}
    for person, count in db.execute(f"SELECT person_id, count(*) {_TIMED} GROUP BY person_id").fetchall():
        sql = f"SELECT seconds {_TIMED} AND person_id = ? ORDER BY seconds LIMIT ? OFFSET ?"
        middle = db.execute(sql, [person, 2 - count % 2, (count - 1) // 2]).fetchall()
        found[person] = sum(seconds for (seconds,) in middle) / len(middle)
    return found


def agreement_of(found: Together) -> dict[str, Any]:
    """{alpha, images, meaning, fleiss, fleiss_images, fleiss_people}: what a page says of everybody."""
    images, same = agreement.images(found.units), agreement.of_one_size(found.units)
    value = agreement.alpha(found.units)
    return {
        "alpha": value, "images": images, "meaning": agreement.meaning(value, images),
        "fleiss": agreement.fleiss(same), "fleiss_images": agreement.images(same),
        "fleiss_people": len(next(iter(same), ())),
    }  # fmt: skip
