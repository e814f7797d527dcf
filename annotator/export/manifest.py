"""The manifest: a JSON file beside an export that says what it holds, where each label came from, and what made it."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from annotator import __version__
from annotator.export import Report, tables
from annotator.export.selection import Row
from annotator.store.db import utc_now

_OF_A_FILE = ("path", "sha256", "class", "people", "source", "round", "strategy", "score", "probability", "model")


def beside(out: Path) -> Path:
    """labels.csv -> labels.csv.manifest.json"""
    return out.with_name(f"{out.name}.manifest.json")


class Manifest:
    """Grows by one file with each row; it is whole after `end`."""

    def __init__(self, write: Callable[[str], Any], **head: Any) -> None:
        self._write, self._count = write, 0
        head = {"tool": "annotator", "version": __version__, "created": utc_now()} | head
        write(_json(head)[:-1] + ', "files": [')

    def add(self, row: Row) -> None:
        values = {name: tables.finite(row[name]) for name in _OF_A_FILE}
        values["people"] = json.loads(row["people"])
        self._write((",\n" if self._count else "\n") + _json(values))
        self._count += 1

    def end(self, report: Report) -> None:
        skipped = [{"path": path, "reason": reason} for path, reason in report.skipped]
        tail = {"selected": self._count, "written": report.written, "skipped": skipped}
        self._write("\n], " + _json(tail)[1:] + "\n")


@contextmanager
def writing(out: Path, **head: Any) -> Iterator[Manifest]:
    """A manifest that appears beside `out`, complete or not at all. Raises AnnotatorError when it cannot."""
    with tables.text(beside(out)) as file:
        yield Manifest(file.write, **head)


def pieces(rows: Iterable[Row], report: Callable[[], Report], **head: Any) -> Iterator[str]:
    """The same as text, for rows with `people`; the report is asked for at the end."""
    some: list[str] = []
    kept = Manifest(some.append, **head)
    for row in rows:
        kept.add(row)
        yield "".join(some)
        some.clear()
    kept.end(report())
    yield "".join(some)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
