"""Which labels an export takes: the same for every format, on the command line and on the page."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from learner.settings import setting

AUDIT = ("include", "only", "exclude")


@dataclass(frozen=True)
class Filters:
    """All hold at once. Those on answers ask for one answer that gave the current label and meets them all."""

    only_class: tuple[str, ...] = setting((), "only labels of this class; may be given several times")
    agreed: bool = setting(False, "only labels that all who answered agree on")
    since: str = setting("", "only labels given since then, in UTC: 2026-01-31, or 2026-01-31T18:00")
    person: str = setting("", "only labels that this person gave")
    source: str = setting("", "only labels of images asked for this reason: query, tail, audit and so on")
    audit: str = setting(
        "include", "images of the audit, the honest test set: include, only, or exclude them", choices=AUDIT
    )
    unlabeled: bool = setting(
        False, "also images without a label; each image gets the class and the probability of the last predictions"
    )


EVERY_LABEL = Filters()


def check(db: Database, filters: Filters) -> None:
    """Raises AnnotatorError for a class, person or source that this project does not have, and for no date."""
    for name in filters.only_class:
        _one_of(db, "class", name, "SELECT name FROM classes ORDER BY id")
    if filters.person:
        _one_of(db, "person", filters.person, "SELECT name FROM people ORDER BY id")
    if filters.source:
        _one_of(db, "source", filters.source, "SELECT DISTINCT source FROM labels ORDER BY 1")
    moment(filters.since)


def _one_of(db: Database, kind: str, name: str, sql: str) -> None:
    known = [found for (found,) in db.execute(sql).fetchall()]
    if name not in known:
        raise AnnotatorError(f"unknown {kind} {name!r}; choose from {', '.join(known) or 'none so far'}")


def moment(text: str) -> str:
    """A day or a time as labels store it; empty stays empty. Raises AnnotatorError when it is neither."""
    if not text:
        return ""
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise AnnotatorError(f"{text!r} is not a time; write it like 2026-01-31 or 2026-01-31T18:00") from None
    return found.isoformat(timespec="milliseconds")
