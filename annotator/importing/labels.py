"""Imports a file of labels, or says what that would do; what is left out goes into a report."""

import csv
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from annotator.errors import AnnotatorError
from annotator.export import tables
from annotator.importing import SOURCES
from annotator.importing.kinds import kind_of
from annotator.importing.matching import Index
from annotator.importing.rows import Asked, shown
from annotator.importing.suggesting import Suggesting
from annotator.importing.taking import NotTaken, Outcome, Taking, Wish, take
from annotator.store import db as store
from annotator.store import project as project_store
from annotator.store import rounds
from learner.registry import lookup

FIRST = 10  # of what is left out, for the screen


def import_labels(
    instance: Path, path: Path, asked: Asked, wish: Wish, report: Path | None = None
) -> tuple[str, Outcome, list[NotTaken], bool]:
    """(kind of file, what came of it, the first rows left out, whether all images are read yet).

    Without a source in the wish it is found from the file. Raises AnnotatorError for a file that cannot be read as
    what it is said to be; what was taken until then stays, and is not taken twice.
    """
    wish = replace(wish, source=wish.source or kind_of(path), origin=shown(path.name, 100))
    read = lookup("format", SOURCES, wish.source).load()
    first: list[NotTaken] = []
    with closing(store.upgrade(instance / store.FILE)) as db, _reporting(report) as write:

        def left_out(row: NotTaken) -> None:
            write(row)
            if len(first) < FIRST:
                first.append(row)

        folder = (instance / project_store.facts(db)["folder"]).absolute()
        with closing(read(path, replace(asked, folder=folder, suggestions=wish.suggestions))) as rows:
            kind = Suggesting if wish.suggestions else Taking
            outcome = take(db, rows, kind(db, Index(db, folder), wish, left_out))
        return wish.source, outcome, first, rounds.process(db, "import")["activity"] == "complete"


@contextmanager
def _reporting(path: Path | None) -> Iterator[Callable[[NotTaken], object]]:
    """Writes rows into a CSV file that appears complete or not at all; without one, nowhere."""
    if path is None:
        yield lambda row: None
        return
    if path.is_dir():
        raise AnnotatorError(f"cannot write {path}: it is a folder")
    with tables.text(path) as file:
        writer = csv.writer(file)
        writer.writerow(NotTaken._fields)
        yield lambda row: writer.writerow([row.line, *(shown(text, 1000) for text in row[1:])])
