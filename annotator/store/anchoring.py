"""Anchoring: do people agree with a suggestion more often when they see it?"""

from collections import Counter

from annotator.store.tally import SEEN, STANDS, Rows, Tally
from learner.intervals import wilson

LEAST = 30  # answers with the suggestion shown, and as many without

_SUGGESTED = "suggested_id IS NOT NULL AND kind = 'label' AND source IN ('query', 'tail')"

_MODELS = f"WITH {SEEN} SELECT model, suggestion_shown, count(*) FROM seen WHERE {_SUGGESTED} GROUP BY 1, 2"

# what each person first said of an image. A second look was chosen because model and label differ
_FIRST = f"""WITH {SEEN}, first AS (SELECT min(id) AS id FROM seen WHERE {STANDS} GROUP BY image_id, person_id)
    SELECT model, suggestion_shown, count(*), sum(class_id = suggested_id) FROM first JOIN seen USING (id)
    WHERE {_SUGGESTED} AND via IN ('typed', 'accepted') GROUP BY 1, 2"""


class Suggestions(Tally):
    """(round of the model, shown?) -> how many there were; first answers to them; those that are the suggestion."""

    def __init__(self) -> None:
        self.there, self.answered, self.taken = (Counter[tuple[int, bool]]() for _ in range(3))

    def add(self, rows: Rows, sign: int) -> None:
        for model, shown, count in rows(_MODELS):
            self.there[model, bool(shown)] += sign * count
        for model, shown, count, taken in rows(_FIRST):
            self.answered[model, bool(shown)] += sign * count
            self.taken[model, bool(shown)] += sign * taken


def agreement(found: Suggestions) -> dict[str, dict[str, float]] | None:
    """{shown, hidden} -> {share, low, high, n} of answers that are the suggestion, or None while there are too few.

    low and high: the 95 % interval. Of models whose suggestions were shown for some images and hidden for others: an
    early model that always was shown and a late one that never was would be compared as well, else.
    """
    models = {model for model, _ in found.there if found.there[model, True] and found.there[model, False]}
    counts = {
        shown: [sum(each[model, shown] for model in models) for each in (found.answered, found.taken)]
        for shown in (True, False)
    }
    if min(n for n, _ in counts.values()) < LEAST:
        return None
    return {"shown": _share(*counts[True]), "hidden": _share(*counts[False])}


def _share(n: int, agreed: int) -> dict[str, float]:
    low, high = wilson(agreed, n)
    return {"share": agreed / n, "low": low, "high": high, "n": n}
