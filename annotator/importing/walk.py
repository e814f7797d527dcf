"""What lies in a folder: names and sizes, nothing is opened."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from annotator.errors import AnnotatorError
from annotator.originals import cannot_read, is_inside

_CLUTTER = frozenset({b"thumbs.db", b"desktop.ini", b"__macosx"})  # hidden where they come from


@dataclass(frozen=True)
class Entry:
    """A file. Size and time are 0 where they are not known: such a file never counts as unchanged."""

    path: bytes  # relative to the folder, with slashes
    size: int = 0
    mtime_ns: int = 0
    problem: str | None = None


def walk(folder: Path, skip: Path) -> Iterator[Entry]:
    """Every file at any depth, and whatever cannot be used with the reason; not what is hidden or in `skip`.

    Links to files inside the folder are files. Links to folders inside it are passed over, as what they
    show is found anyway. Raises AnnotatorError when the folder itself cannot be read.
    """
    root = os.fsencode(folder.resolve())
    waiting = [b""]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(_join(root, here)) as scanned:
                children = sorted(scanned, key=lambda child: child.name)
        except OSError as error:
            if not here:
                raise AnnotatorError(f"the project's folder {folder} {cannot_read(error)}") from None
            yield Entry(here, problem=cannot_read(error))
            continue
        for child in children:
            if is_hidden(child.name) or os.fsdecode(child.path) == str(skip):
                continue
            if child.is_dir(follow_symlinks=False):
                waiting.append(_join(here, child.name))
            elif (entry := _entry(child, _join(here, child.name), root)) is not None:
                yield entry


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name


def is_hidden(name: bytes) -> bool:
    """Is a file or folder of this name passed over?"""
    return name.startswith(b".") or name.lower() in _CLUTTER


def _entry(child: os.DirEntry[bytes], path: bytes, root: bytes) -> Entry | None:
    """None for a link to a folder inside."""
    try:
        if child.is_symlink() and not is_inside(os.path.realpath(child.path), root):
            return Entry(path, problem="a link that leads out of the project's folder")
        if child.is_dir():
            return None
        status = child.stat()
        if not child.is_file():
            return Entry(path, problem="not a regular file")
        return Entry(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        return Entry(path, problem=cannot_read(error))
