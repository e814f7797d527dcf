"""What every source of labels makes of its file: rows that say something of an image, or why they say nothing."""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from annotator.errors import AnnotatorError

LONGEST_LINE = 2**20  # characters of one line, and of one field

PATHS = (
    "path", "filepath", "file_path", "file", "filename", "file_name", "image_path", "img_path", "image", "img",
    "image_file", "photo", "picture", "url", "uri",
)  # fmt: skip
CLASSES = ("class", "label", "class_name", "classname", "category", "choice", "target", "species", "tag")
CONFIDENCES = ("confidence", "probability", "score")
PEOPLE = ("person", "annotator", "labeler", "labeller", "user", "username", "completed_by")


class Said(NamedTuple):
    """One row of a file, as it came."""

    line: int  # from 1
    path: str = ""
    class_name: str = ""  # empty: the row has no answer
    sha256: str = ""
    person: str = ""
    problem: str = ""  # why the row cannot be read
    confidence: str = ""  # of a suggestion


class Columns(NamedTuple):
    """The names of the columns that count; empty for one that is not there."""

    path: str
    class_name: str
    person: str
    sha256: str
    confidence: str


@dataclass(frozen=True)
class Asked:
    """The columns that somebody named, and the project's folder; empty: the usual ones."""

    path_column: str = ""
    class_column: str = ""
    person_column: str = ""
    folder: Path = Path()
    suggestions: bool = False  # else labels

    def columns(self, names: Iterable[str], where: object) -> Columns:
        """Among these columns. Raises AnnotatorError when one that is needed is not there."""
        have = list(names)
        path = column(have, self.path_column, PATHS)
        class_name = column(have, self.class_column, CLASSES)
        person = column(have, self.person_column, PEOPLE)
        for found, asked, what in (
            (path, self.path_column, "path"),
            (class_name, self.class_column, "class"),
            (person or not self.person_column, self.person_column, "person"),
        ):
            if not found:
                raise AnnotatorError(_no_column(where, asked, what, have))
        return Columns(path, class_name, person, column(have, "", ("sha256",)), self._confidence(have))

    def _confidence(self, have: list[str]) -> str:
        """Beside a strategy, as in our own exports, a score says why an image was asked, and nothing of its class."""
        usual = CONFIDENCES[:2] if column(have, "", ("strategy",)) else CONFIDENCES
        return column(have, "", usual) if self.suggestions else ""

    def said(self, line: int, values: Mapping[str, Any], where: object = "the row") -> Said:
        """What an object of JSON says, whose keys are columns."""
        try:
            columns = self.columns(values, where)
            texts = [text(values.get(name), name) if name else "" for name in columns]
        except AnnotatorError as error:
            return Said(line, problem=str(error))
        path, class_name, person, sha256, confidence = texts
        return Said(line, path, class_name, sha256, person, confidence=confidence)


def column(names: Iterable[str], asked: str, usual: Iterable[str]) -> str:
    """The first of these names that was asked for, or else is usual, in capitals or not; empty: there is none."""
    have = {name.strip().casefold(): name for name in reversed(list(names))}
    wanted = [asked.strip().casefold()] if asked else usual
    return next((have[name] for name in wanted if name in have), "")


def _no_column(where: object, asked: str, what: str, have: list[str]) -> str:
    listed = ", ".join(shown(name, 40) for name in have[:20]) or "none"
    if asked:
        return f"{where} has no column {asked!r}; it has {listed}"
    return f"{where} has no column that is known to hold a {what}; name one of {listed} with --{what}-column"


def text(value: Any, name: str) -> str:
    """A value of JSON as text; numbers are names of classes too. AnnotatorError for what is neither."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if type(value) in (int, float):
        return str(value)
    if isinstance(value, list) and value:
        raise AnnotatorError(f"{name!r:.60} holds several values: one image has one class here")
    raise AnnotatorError(f"{name!r:.60} is not a text: {value!r:.60}" if value != [] else f"{name!r:.60} is empty")


def lines(file: BinaryIO) -> Iterator[tuple[int, str | None]]:
    """(number, line with its end), whatever the line ends; None for a line that is too long, which is passed over.

    UTF-8 with or without a mark, or UTF-16 with one. Bytes that are no UTF-8 become surrogates, as in file names.
    """
    yield from enumerate(_lines(file), 1)


def _lines(file: BinaryIO) -> Iterator[str | None]:
    is_wide = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    encoding, errors = ("utf-16", "replace") if is_wide else ("utf-8-sig", "surrogateescape")
    file.seek(0)
    with io.TextIOWrapper(file, encoding, errors=errors, newline="\n") as decoded:
        while line := decoded.readline(LONGEST_LINE):
            if len(line) < LONGEST_LINE or line.endswith("\n"):
                yield line
                continue
            while (more := decoded.readline(LONGEST_LINE)) and not more.endswith("\n"):
                pass
            yield None


def shown(text: str, most: int = 200) -> str:
    """A text from outside for a terminal or a report: what does not print is escaped, and a long one is cut."""
    cut = text if len(text) <= most else text[:most] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
