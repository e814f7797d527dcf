"""What kind of file is this? From its name, and where that does not say, from how it begins."""

from pathlib import Path

from annotator.errors import AnnotatorError
from annotator.importing import SOURCES

_HEAD = 2**16


def kind_of(path: Path) -> str:
    """The name of its source. Raises AnnotatorError for what no source reads."""
    fitting = [name for name, row in SOURCES.items() if path.suffix.lower() in row.suffixes]
    if fitting:
        return fitting[0]
    with path.open("rb") as file:
        start = file.read(_HEAD).decode("utf-8-sig", "replace").lstrip()
    if start.startswith("{"):
        return "jsonl"
    if "\0" in start or not start:
        raise AnnotatorError(f"{path.name} holds no labels that are known; name its kind with --format")
    return "csv"
