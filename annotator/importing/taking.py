"""Takes what a file says of images into the project: each row by itself, so that bad ones never stop the good ones.

A hundred rows are one transaction. Killed in between, the same import again goes on where it stopped: what is
there already is not said twice.
"""

import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.importing.matching import Index, Unmatched
from annotator.importing.rows import Said, shown
from annotator.store import db as store
from annotator.store import imports
from annotator.store import project as project_store

CHUNK = 100  # rows per transaction
GIVE_WAY_SECONDS = 0.005  # after each: people who label come first
MOST_NEW_CLASSES = 1000  # more are a column of something else
LONGEST_NAME = 200  # characters of a new class or person


@dataclass(frozen=True)
class Wish:
    """How to take the rows."""

    source: str  # its name in SOURCES
    person: str = imports.PERSON  # whose labels those of rows are that name nobody
    new_classes: bool = False
    dry_run: bool = False
    suggestions: bool = False  # else labels
    origin: str = ""  # the name of the file, for those who see its suggestions


class NotTaken(NamedTuple):
    """A row that left no label, and why."""

    line: int
    path: str
    class_name: str
    reason: str


@dataclass
class Outcome:
    """How an import ended, or would end."""

    rows: int = 0
    added: int = 0
    there: int = 0  # said before, by the same person or by somebody who answered
    empty: int = 0  # rows without an answer
    conflicts: int = 0  # with an answer that a person gave, which stands
    refused: int = 0
    matched: Counter[str] = field(default_factory=Counter)  # by what the images were found
    unknown: Counter[str] = field(default_factory=Counter)  # classes that are not there -> rows
    new_classes: list[str] = field(default_factory=list)


class Row(NamedTuple):
    said: Said
    image: int
    class_id: int
    person: str


class Refused(AnnotatorError):
    """Why a row is not taken."""


def take(db: Database, rows: Iterable[Said], taking: "Taking") -> Outcome:
    """Take the rows; `left_out` hears of each that leaves nothing though it says something."""
    wish = taking.wish
    for chunk in _chunks(rows):
        with store.snapshot(db) if wish.dry_run else store.write(db):
            taking.take(chunk)
        if not wish.dry_run:
            time.sleep(GIVE_WAY_SECONDS)
    return taking.outcome


def _chunks(rows: Iterable[Said]) -> Iterator[list[Said]]:
    source = iter(rows)
    while chunk := list(islice(source, CHUNK)):
        yield chunk


class Taking:
    """Makes labels of rows."""

    def __init__(self, db: Database, index: Index, wish: Wish, left_out: Callable[[NotTaken], None]) -> None:
        self.db, self.index, self.wish, self.left_out = db, index, wish, left_out
        self.outcome = Outcome()
        self.project = project_store.facts(db)["id"]
        self.seen: dict[tuple[int, str], tuple[int, int]] = {}  # (image, person) -> (class, line) in this file
        self._read_classes()

    def _read_classes(self) -> None:
        """Renamed, merged and retired ones too: a label counts as what its class counts as now."""
        self.names: dict[int, str] = project_store.class_titles(self.db)
        self.exact: dict[str, int] = project_store.class_names(self.db)
        self.loose: dict[str, int] = {_loose(name): number for name, number in reversed(self.exact.items())}

    def take(self, chunk: list[Said]) -> None:
        """One transaction."""
        found = [row for said in chunk if (row := self._look_at(said))]
        images = {row.image for row in found}
        by_people = imports.by_people(self.db, images)
        by_files = imports.by_files(self.db, images)
        for row in found:
            try:
                self._settle(row, by_people.get(row.image), by_files)
            except Refused as error:
                self._leave_out(row.said, str(error))

    def _look_at(self, said: Said) -> Row | None:
        """The image, class and person that a row means; None for a row that is counted already."""
        self.outcome.rows += 1
        if not said.problem and not said.class_name:
            self.outcome.empty += 1
            return None
        try:
            if said.problem:
                raise Refused(said.problem)
            image, how = self.index.find(said.path, said.sha256)
            row = Row(said, image, self._class_id(said.class_name), self._person(said.person))
        except (Refused, Unmatched) as error:
            self._leave_out(said, str(error))
            return None
        self.outcome.matched[how] += 1
        return row

    def _leave_out(self, said: Said, reason: str) -> None:
        self.outcome.refused += 1
        self.left_out(NotTaken(said.line, said.path, said.class_name, reason))

    def _settle(
        self,
        row: Row,
        answered: tuple[str, str, int | None] | None,
        by_files: dict[tuple[int, str], imports.FileLabel],
    ) -> None:
        """What a person said stands, what was said before is not said again, and a file says one thing only."""
        key = (row.image, row.person)
        is_first = key not in self.seen
        before, line = self.seen.setdefault(key, (row.class_id, row.said.line))
        if before != row.class_id:
            raise Refused(f"line {line} says {shown(self.names[before], 60)!r} of the same image")
        last = by_files.get(key, imports.FileLabel(None, 0))
        if answered and answered[1:] != ("label", row.class_id):
            self._conflict(row.said, answered)
        elif answered or last.class_id == row.class_id or not is_first:
            self.outcome.there += 1
        else:
            self._add(row, last.times)

    def _conflict(self, said: Said, answered: tuple[str, str, int | None]) -> None:
        person, kind, class_id = answered
        word = repr(shown(self.names[class_id], 60)) if class_id else kind
        self.outcome.conflicts += 1
        reason = f"{shown(person, 60)} answered {word}, which stands"
        self.left_out(NotTaken(said.line, said.path, said.class_name, reason))

    def _add(self, row: Row, count: int) -> None:
        self.outcome.added += 1
        if self.wish.dry_run:
            return
        content, class_name = self.index.sha256(row.image), self.names[row.class_id]
        key = (self.project, self.wish.source, content, class_name, row.person, count)
        imports.say(self.db, key, row.image, row.class_id, row.person)

    def _person(self, name: str) -> str:
        person = unicodedata.normalize("NFC", name.strip()) or self.wish.person
        _refuse_odd(person, "person")
        return person

    def _class_id(self, name: str) -> int:
        class_id = self.exact.get(name) or self.loose.get(_loose(name))
        if class_id is not None:
            return class_id
        if len(self.outcome.unknown) < MOST_NEW_CLASSES or name in self.outcome.unknown:
            self.outcome.unknown[name] += 1
        if not self.wish.new_classes:
            raise Refused(f"the project has no class {shown(name, 60)!r}; --new-classes adds it")
        return self._new_class(_loose(name))

    def _new_class(self, name: str) -> int:
        _refuse_odd(name, "class")
        if len(self.outcome.new_classes) >= MOST_NEW_CLASSES:
            raise Refused(f"more than {MOST_NEW_CLASSES:,} new classes; does the column hold classes?")
        self.outcome.new_classes.append(name)
        if self.wish.dry_run:
            class_id = -len(self.outcome.new_classes)
            self.names[class_id], self.exact[name], self.loose[name] = name, class_id, class_id
        else:
            project_store.add_classes(self.db, [name])
            self._read_classes()
        return self.exact[name]


def _loose(name: str) -> str:
    """One spelling of composed letters, without the space around it."""
    return unicodedata.normalize("NFC", name.strip())


def _refuse_odd(name: str, what: str) -> None:
    """New names are seen by people on buttons and in lists."""
    if not name or not name.isprintable():
        raise Refused(f"{shown(name, 60)!r} is no name for a {what}: it is empty or holds what does not print")
    if len(name) > LONGEST_NAME:
        raise Refused(f"the name of the {what} has more than {LONGEST_NAME} characters")
