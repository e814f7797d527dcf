"""Labels out of the names of folders, as torchvision's ImageFolder reads them: cat/2021/a.jpg is a cat.

The folder may lie in the project's, whose files are then known by their paths; elsewhere they are known by their
content. The `classes.json` of our own export gives the true name of each folder's class.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from annotator.errors import AnnotatorError
from annotator.importing.rows import Asked, Said
from annotator.importing.walk import Entry, walk
from annotator.originals import Unreadable, digest, open_original, printable

CLASSES = "classes.json"
_LARGEST_NAMES = 2**24  # bytes of classes.json


def read(path: Path, asked: Asked) -> Iterator[Said]:
    """A file at a time; the line is its number. AnnotatorError for what is no folder."""
    if not path.is_dir():
        raise AnnotatorError(f"{path.name} is no folder; its sub folders would be the classes")
    names, folder = _names(path), asked.folder.resolve()
    inside = path.resolve().relative_to(folder) if path.resolve().is_relative_to(folder) else None
    for number, entry in enumerate(walk(path, skip=Path()), 1):
        if entry.path != CLASSES.encode():
            yield _said(number, path, entry, names, inside)


def _said(number: int, folder: Path, entry: Entry, names: dict[str, str], inside: Path | None) -> Said:
    top, slash, _ = entry.path.partition(b"/")
    name = printable(entry.path)
    class_name = names.get(printable(top), printable(top)) if slash else ""
    if entry.problem:
        return Said(number, name, class_name, problem=entry.problem)
    if inside is not None or not class_name:
        return Said(number, printable(bytes((inside or Path()) / "_")[:-1] + entry.path), class_name)
    try:
        with open_original(folder, entry.path) as file:
            return Said(number, name, class_name, digest(file))
    except (Unreadable, OSError) as error:
        return Said(number, name, class_name, problem=str(error))


def _names(folder: Path) -> dict[str, str]:
    """Folder -> class, where a file in it says so."""
    try:
        with (folder / CLASSES).open("rb") as file:
            found = json.loads(file.read(_LARGEST_NAMES))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError, OSError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise AnnotatorError(f"{CLASSES} in {folder.name} is damaged; repair or remove it")
    return found
