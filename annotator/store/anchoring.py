"""Anchoring: do people agree with a suggestion more often when they see it?"""

from sqlite_utils import Database

from learner.intervals import wilson

LEAST = 30  # answers with the suggestion shown, and as many without

# what each person first said of an image, by models whose suggestions were shown for some images and hidden for others:
# an early model that always was shown and a late one that never was would be compared as well, else. A second look was
# chosen because model and label differ
_SQL = """SELECT suggestion_shown, count(*), sum(class_id = suggested_id) FROM standing a
    WHERE kind = 'label' AND suggested_id IS NOT NULL AND source IN ('query', 'tail') AND via IN ('typed', 'accepted')
        AND model IN (SELECT model FROM labels WHERE suggested_id IS NOT NULL AND kind = 'label'
            AND source IN ('query', 'tail') GROUP BY model HAVING min(suggestion_shown) < max(suggestion_shown))
        AND NOT EXISTS (SELECT 1 FROM standing b
            WHERE b.image_id = a.image_id AND b.person_id = a.person_id AND b.id < a.id)
    GROUP BY suggestion_shown"""


def agreement(db: Database) -> dict[str, dict[str, float]] | None:
    """{shown, hidden} -> {share, low, high, n} of answers that are the suggestion, or None while there are too few.

    low and high: the 95 % interval.
    """
    counts = {bool(shown): (n, agreed) for shown, n, agreed in db.execute(_SQL).fetchall()}
    if min(counts.get(shown, (0, 0))[0] for shown in (True, False)) < LEAST:
        return None
    return {name: _share(*counts[name == "shown"]) for name in ("shown", "hidden")}


def _share(n: int, agreed: int) -> dict[str, float]:
    low, high = wilson(agreed, n)
    return {"share": agreed / n, "low": low, "high": high, "n": n}
