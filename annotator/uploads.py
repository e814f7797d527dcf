"""Takes image files that a browser sends into the project's folder: checked, renamed, never over another file."""

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sqlite_utils import Database

from annotator import images
from annotator.errors import AnnotatorError
from annotator.export.names import split_suffix
from annotator.importing.walk import is_hidden
from annotator.originals import digest
from annotator.store import copy, files

FOLDER = "uploads"  # in the project's folder


class Refused(AnnotatorError):
    """Why a file is not taken."""


def folder_in(project: Path) -> Path:
    """Where uploads go, made when new. Refused when the project's folder is not there, or this leads out of it."""
    if not project.is_dir():
        raise Refused(f"the folder {project} is not there; connect its drive")
    folder = project / FOLDER
    folder.mkdir(exist_ok=True)
    if folder.resolve() != project.resolve() / FOLDER:
        raise Refused(f"{FOLDER} leads out of the project's folder; remove that link")
    return folder


def keep(db: Database, folder: Path, name: str, file: BinaryIO) -> str:
    """Store a file that holds an image of the project's kind; the name it got. Raises Refused or BadImage."""
    images.decode(file)
    there = files.with_content(db, digest(file))
    if there is not None:
        raise Refused(f"this picture is there already: {there}")
    part = folder / f".{uuid.uuid4().hex}.part"
    try:
        with part.open("xb") as target:
            shutil.copyfileobj(file, target, 1 << 20)
        copy.sync(part)
        kept = next(found for found in _names(name) if _take(part, folder / found))
        copy.sync(folder)
        return kept
    finally:
        part.unlink(missing_ok=True)


def _names(name: str) -> Iterator[str]:
    """The name without folders and whatever a file system does not take, then the same with numbers."""
    stem, suffix = split_suffix(name.replace("\\", "/").rpartition("/")[2])
    if is_hidden(os.fsencode(stem + suffix)):
        stem = f"_{stem}"
    yield stem + suffix
    number = 1
    while True:
        number += 1
        yield f"{stem}-{number}{suffix}"


def _take(part: Path, target: Path) -> bool:
    """Give the file this name, at once and as a whole. False where another has it."""
    try:
        os.link(part, target)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        try:
            target.open("xb").close()
        except FileExistsError:
            return False
        part.replace(target)
    return True
