"""Labels out of a CSV file: our own export read back, and any with a column of paths and one of classes."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotator.errors import AnnotatorError
from annotator.importing.rows import LONGEST_LINE, Asked, Said, lines

DELIMITERS = (",", ";", "\t", "|")
csv.field_size_limit(LONGEST_LINE)


def read(path: Path, asked: Asked) -> Iterator[Said]:
    """A row at a time; the line is that on which the row begins.

    Raises AnnotatorError when there is no header with the columns that are needed.
    """
    with path.open("rb") as file:
        table = _Table(file)
        header, delimiter = _header(table.first(), asked, path.name)
        columns = asked.columns(header, path.name)
        places = [header.index(name) if name else -1 for name in columns]
        for line, row in table.rows(delimiter):
            if isinstance(row, str):
                yield Said(line, problem=row)
            elif any(row):
                yield _said(line, row, places, len(header))


def _said(line: int, row: list[str], places: list[int], width: int) -> Said:
    if len(row) != width:
        return Said(line, problem=f"{len(row)} columns, where the header has {width}")
    path, class_name, person, sha256, confidence = (row[place] if place >= 0 else "" for place in places)
    return Said(line, path, class_name, sha256, person, confidence=confidence)


def _header(first: str, asked: Asked, name: str) -> tuple[list[str], str]:
    """The names of the columns, and the delimiter with which the needed ones are among them."""
    problem: AnnotatorError | None = None
    for delimiter in DELIMITERS:
        header: list[str] = next(iter(_reader([first], delimiter)), [])
        try:
            asked.columns(header, name)
        except AnnotatorError as error:
            if problem is None or len(header) > 1:
                problem = error
        else:
            return header, delimiter
    raise problem or AnnotatorError(f"{name} is empty")


def _reader(source: Any, delimiter: str) -> Any:
    return csv.reader(source, delimiter=delimiter)


class _Table:
    """The lines of a file, as a reader of CSV wants them, that remembers those which it cannot hand out."""

    def __init__(self, file: Any) -> None:
        self._lines = lines(file)
        self._too_long: list[int] = []
        self._number = 0

    def first(self) -> str:
        """The header."""
        return next(self, "")

    def __iter__(self) -> "_Table":
        return self

    def __next__(self) -> str:
        self._number, line = next(self._lines)
        if line is None:
            self._too_long.append(self._number)
        return line or "\n"

    def rows(self, delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
        """(line on which it begins, the row or what is wrong with it)."""
        reader = _reader(self, delimiter)
        while True:
            begin = self._number + 1
            try:
                row: list[str] | str = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                row = f"not CSV, up to line {self._number}: {error}"
            if self._too_long:
                begin, row = self._too_long.pop(), f"longer than {LONGEST_LINE:,} characters"
            yield begin, row
