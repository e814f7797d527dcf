"""What the Progress and People pages say of people together: agreement, quality, pace, and conflicts to decide."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from threading import Event
from typing import Any

from sqlite_utils import Database

from annotator import agreement
from annotator.pages.counting import seldom, up_to_date
from annotator.store import browse, opinions, overlap
from annotator.store import db as store
from annotator.store import project as project_store
from annotator.store.anchoring import Suggestions
from annotator.store.opinions import Opinions, Share
from learner.intervals import wilson

EVERY = 10.0  # seconds
PAIRS = 50


def keep_counting(instance: Path, stopping: Event) -> None:
    """Count before somebody looks: of 200,000 labels some seconds' work once, and then what is new."""
    while not stopping.is_set():
        with suppress(sqlite3.Error), closing(store.connect_for_reading(instance / store.FILE)) as db:
            for kind in (Opinions, Suggestions):
                with up_to_date(db, kind):
                    pass
        stopping.wait(EVERY)


def agreed(db: Database) -> dict[str, Any]:
    """Agreement of everybody, images that wait for an opinion, and conflicts."""
    with up_to_date(db, Opinions) as counted:
        found = opinions.agreement_of(counted.together)
    return found | {"waiting": overlap.waiting(db), "conflicts": browse.conflicts(db), "people": overlap.people(db)}


def pairs(db: Database) -> list[dict[str, Any]]:
    """[{one, other, images, same, kappa}] of the `PAIRS` pairs with most labels of the same images, most first."""
    names = project_store.people_names(db)
    with up_to_date(db, Opinions) as counted:
        most = sorted(counted.together.pairs.items(), key=lambda item: (-item[1].total(), names[item[0][0]], item[0]))
        return [
            {
                "one": names[one], "other": names[other], "images": said.total(),
                "same": _share(Share(sum(n for (a, b), n in said.items() if a == b), said.total())),
                "kappa": agreement.cohen(said),
            }
            for (one, other), said in most[:PAIRS] if said
        ]  # fmt: skip


def quality(db: Database, name: str | None = None) -> list[dict[str, Any]]:
    """One row for each person who answered, by name; with a name, only that person's."""
    names = project_store.people_names(db)
    medians = seldom(db, opinions.medians)
    with up_to_date(db, Opinions) as counted:
        work = opinions.work_of(counted, medians)
        rows = [_quality(counted, person, names[person], row) for person, row in work.items()]
    return sorted((row for row in rows if name in (None, row["name"])), key=lambda row: row["name"])


def _quality(counted: Opinions, person: int, name: str, row: dict[str, Any]) -> dict[str, Any]:
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
