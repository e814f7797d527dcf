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
from annotator.originals import from_printable
from annotator.store import copy, files

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


def typed(db: Database) -> Iterator[dict[str, Any]]:
    """The rows of the CSV export with true types: numbers, true or false, null for what is not known."""
    return (_typed(row) for row in files.labeled(db))


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: such a number is null."""
    values = {name: row[name] for name in COLUMNS}
    values["suggestion_shown"] = bool(values["suggestion_shown"])
    return {name: None if _endless(value) else value for name, value in values.items()}


def _endless(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


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
