"""A list of JSON objects, one after the other: a file of a gigabyte is never in memory as a whole."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotator.errors import AnnotatorError

CHUNK = 2**16  # characters read at once
LONGEST_ITEM = 2**24  # characters of one object
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(line on which it begins, the object, or what is wrong with it). After what is no JSON nothing can follow.

    Raises AnnotatorError when the file is no list at all.
    """
    with path.open("rb") as file, io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape") as decoded:
        text = _Text(decoded)
        if not text.take("["):
            raise AnnotatorError(f"{path.name} is not a JSON list of objects")
        if text.take("]"):
            return
        while True:
            text.peek()
            line = text.line
            try:
                value = text.value()
            except AnnotatorError as error:
                yield line, f"{error}; nothing after it is read"
                return
            yield line, value if isinstance(value, dict) else "not a JSON object"
            if text.take("]"):
                return
            if not text.take(","):
                yield text.line, "not JSON: the list breaks off; nothing after it is read"
                return


class _Text:
    """The part of a file that is looked at."""

    def __init__(self, file: io.TextIOWrapper) -> None:
        self._file, self._text, self._at = file, "", 0
        self.line = 1

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._go(found.end() if found else self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more(CHUNK):
                return ""

    def take(self, character: str) -> bool:
        """Go past this character, if it is the next one."""
        if self.peek() != character:
            return False
        self._at += 1
        return True

    def value(self) -> Any:
        """The value that begins here. AnnotatorError when none does, or one that is too long."""
        size = CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                raise AnnotatorError("not JSON: nested too deep") from None
            except ValueError as error:
                if len(self._text) - self._at > LONGEST_ITEM or not self._more(size):
                    raise AnnotatorError(f"not JSON: {getattr(error, 'msg', error)!s:.80}") from None
                size *= 2
            else:
                self._go(end)
                return value

    def _go(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self._at = to

    def _more(self, size: int) -> bool:
        more = self._file.read(size)
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)
