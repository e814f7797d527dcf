"""Labels out of JSON lines: our own export read back, and any with a path and a class in each object."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotator.errors import AnnotatorError
from annotator.importing.rows import LONGEST_LINE, Asked, Said, lines


def read(path: Path, asked: Asked) -> Iterator[Said]:
    """A line at a time."""
    for line, value in objects(path):
        yield Said(line, problem=value) if isinstance(value, str) else asked.said(line, value)


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """(line, its object, or what is wrong with it); empty lines are passed over."""
    with path.open("rb") as file:
        for number, line in lines(file):
            if line is None:
                yield number, f"longer than {LONGEST_LINE:,} characters"
            elif line.strip():
                yield number, _object(line)


def _object(line: str) -> dict[str, Any] | str:
    try:
        value = parsed(line)
    except AnnotatorError as error:
        return str(error)
    return value if isinstance(value, dict) else "not a JSON object"


def parsed(text: str) -> Any:
    """The value of a JSON text. AnnotatorError says what is wrong with it."""
    try:
        return json.loads(text)
    except RecursionError:
        raise AnnotatorError("not JSON: nested too deep") from None
    except ValueError as error:
        raise AnnotatorError(f"not JSON: {error!s:.80}") from None
