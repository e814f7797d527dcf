"""What formats that are one file share: rows with true types, and files that appear complete or not at all."""

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.export.selection import PREDICTED, Row, Selection
from annotator.originals import from_printable
from annotator.store import copy

COLUMNS = (
    "path", "image", "sha256", "class", "person", "status", "round", "source", "strategy", "score",
    "probability", "model", "suggested", "suggestion_shown", "via", "seconds", "created", "uuid",
)  # fmt: skip


@contextmanager
def text(out: Path) -> Iterator[TextIO]:
    """A new UTF-8 file that becomes `out`, replacing an older one; line ends stay as they are written.

    Raises AnnotatorError when it cannot be written.
    """
    try:
        with copy.whole(out) as part, part.open("x", newline="", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise AnnotatorError(f"cannot write {out}: {error.strerror}") from None


def columns(selection: Selection) -> tuple[str, ...]:
    """Of the CSV export, and of what holds the same."""
    return COLUMNS + (PREDICTED if selection.filters.unlabeled else ())


def typed(instance: Path, db: Database, selection: Selection) -> Iterator[Row]:
    """The rows of the CSV export with true types: numbers, true or false, null for what is not known."""
    names = columns(selection)
    for row in selection.rows(instance, db):
        values = {name: row[name] for name in names}
        if row["class"] is not None:
            values["suggestion_shown"] = bool(row["suggestion_shown"])
        yield values


def json_rows(instance: Path, db: Database, selection: Selection) -> Iterator[Row]:
    """The same for JSON, which has no infinity: such a number is null."""
    for row in typed(instance, db, selection):
        yield {name: finite(value) for name, value in row.items()}


def finite(value: Any) -> Any:
    """None for a number that JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_lines(file: TextIO, items: Iterable[Any]) -> int:
    """One JSON value per line, in ASCII: a reader may take U+2028 and its like for line ends. Returns how many."""
    return sum(1 for item in items if file.write(json.dumps(item, allow_nan=False) + "\n"))


def write_list(file: TextIO, items: Iterable[Any]) -> int:
    """A JSON list, one item per line, without holding it in memory. Returns how many."""
    count = 0
    file.write("[")
    for count, item in enumerate(items, 1):
        file.write(("\n" if count == 1 else ",\n") + json.dumps(item, ensure_ascii=False, allow_nan=False))
    file.write("\n]\n")
    return count


def location(path: str, prefix: str) -> str:
    """Where another tool finds the file: the path as it is, or percent-encoded behind a prefix."""
    return prefix + quote(from_printable(path)) if prefix else path
