"""What the Progress and People pages say of people together: agreement, quality, pace, and conflicts to decide."""

from typing import Any, NamedTuple

from sqlite_utils import Database

from annotator import agreement
from annotator.pages.counting import seldom
from annotator.store import browse, labels, opinions, overlap
from annotator.store import project as project_store
from annotator.store.opinions import Share, Together
from learner.intervals import wilson


class _Counted(NamedTuple):
    together: Together
    decided: dict[int, Share]
    work: dict[int, dict[str, Any]]


SLOW = 0.1  # seconds


def _counted(db: Database) -> _Counted:
    """Of 200,000 labels a second's work: not after every answer of a large team."""
    state = (labels.cursor(db), project_store.counter(db, "class set"))
    return seldom(db, _count, state, slow=SLOW)


def _count(db: Database) -> _Counted:
    return _Counted(opinions.together(db), opinions.decided(db), opinions.work(db))


def agreed(db: Database) -> dict[str, Any]:
    """Agreement of everybody, images that wait for an opinion, and conflicts."""
    found = opinions.agreement_of(_counted(db).together)
    return found | {"waiting": overlap.waiting(db), "conflicts": browse.conflicts(db), "people": overlap.people(db)}


def pairs(db: Database) -> list[dict[str, Any]]:
    """[{one, other, images, same, kappa}] of people with labels of the same images, most images first."""
    names = project_store.people_names(db)
    found = [
        {
            "one": names[one], "other": names[other], "images": said.total(),
            "same": _share(Share(sum(n for (a, b), n in said.items() if a == b), said.total())),
            "kappa": agreement.cohen(said),
        }
        for (one, other), said in _counted(db).together.pairs.items()
    ]  # fmt: skip
    return sorted(found, key=lambda row: (-row["images"], row["one"], row["other"]))


def quality(db: Database, name: str | None = None) -> list[dict[str, Any]]:
    """One row for each person who answered, by name; with a name, only that person's."""
    counted, names = _counted(db), project_store.people_names(db)
    rows = [_quality(counted, person, names[person], row) for person, row in counted.work.items()]
    return sorted((row for row in rows if name in (None, row["name"])), key=lambda row: row["name"])


def _quality(counted: _Counted, person: int, name: str, row: dict[str, Any]) -> dict[str, Any]:
    """None where nothing was counted."""
    of_answers = {key: _share(Share(row[key], row["answers"])) for key in ("skipped", "unsure", "flagged")}
    return of_answers | {
        "name": name, "answers": row["answers"], "median": row["median"],
        "per_hour": 3600 * row["timed"] / row["active"] if row["active"] else None,
        "others": _share(counted.together.with_others.get(person)),
        "audit": _share(counted.together.in_audit.get(person)),
        "reviewers": _share(counted.decided.get(person)),
        "taken": _share(Share(row["taken"], row["shown"])),
    }  # fmt: skip


def _share(share: Share | None) -> dict[str, Any] | None:
    """{value, low, high, of}: with its Wilson interval; None of nothing."""
    if share is None or not share.of:
        return None
    low, high = wilson(share.count, share.of)
    return {"value": share.count / share.of, "low": low, "high": high, "of": share.of}
