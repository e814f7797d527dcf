"""A folder per class with the labeled originals in it, as torchvision's ImageFolder and most others read it.

Folder names are made safe; classes.json says which class each of them is. Stored paths are not trusted: every
original is checked again when it is opened, and its content must be what was labeled.
"""

import json
import os
import shutil
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.export import ImageFolderSettings, Report
from annotator.export.names import Names, safe_stem, split_suffix
from annotator.originals import Unreadable, open_original
from annotator.store import files
from annotator.store import project as project_store

_DEFAULT = ImageFolderSettings()
CLASSES = "classes.json"


def export(instance: Path, db: Database, out: Path, settings: ImageFolderSettings = _DEFAULT) -> Report:
    """Write every file of every labeled image below `out`, which must be new or empty; all of it or nothing.

    Files that are gone, changed or lead out of the project's folder are skipped with the reason. Raises
    AnnotatorError for a target that will not do and when it cannot be written.
    """
    folder = instance / project_store.facts(db)["folder"]
    out = _free_target(out, folder)
    try:
        with _appearing(out) as target:
            return _Export(db, folder, target, settings.links).run()
    except OSError as error:
        raise AnnotatorError(f"cannot write {out}: {error.strerror}") from None


def _free_target(out: Path, folder: Path) -> Path:
    """The target as a real path."""
    out, folder = out.resolve(), folder.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AnnotatorError(f"{out} is there already and not an empty folder; choose a new one")
    if out == folder or folder in out.parents:
        raise AnnotatorError(f"{out} lies in the project's folder and would be imported; choose one outside")
    return out


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """A folder beside the target that takes its place at the end, or vanishes."""
    part = out.with_name(f".{out.name[:100]}.{uuid.uuid4().hex}")
    part.mkdir(parents=True)
    try:
        yield part
        if out.exists():
            out.rmdir()  # refuses if something came in meanwhile
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


class _Export:
    def __init__(self, db: Database, folder: Path, target: Path, links: bool) -> None:
        self.db, self.folder, self.target, self.links = db, folder, target, links
        taken = Names()
        taken.take(CLASSES)
        self.folders = {row["id"]: taken.take(safe_stem(row["name"])) for row in project_store.classes(db)}
        self.names: defaultdict[int, Names] = defaultdict(Names)  # class id -> file names in its folder

    def run(self) -> Report:
        written, skipped = 0, []
        for row in list(files.labeled(self.db)):  # copying takes long; a reader holds up the log
            try:
                self._write(row)
                written += 1
            except Unreadable as error:
                skipped.append((row["path"], str(error)))
        names = {self.folders[row["id"]]: row["name"] for row in project_store.classes(self.db)}
        (self.target / CLASSES).write_text(json.dumps(names, ensure_ascii=False, indent=2), "utf-8")
        return Report(written, skipped)

    def _write(self, row: dict[str, Any]) -> None:
        with open_original(self.folder, row["file"], row["sha256"]) as original:
            stem, suffix = split_suffix(row["path"].rpartition("/")[2])
            name = self.names[row["class_id"]].take(stem, suffix)
            to = contained(self.target, self.folders[row["class_id"]], name)
            to.parent.mkdir(exist_ok=True)
            if not (self.links and _link(original, self.folder / os.fsdecode(row["file"]), to)):
                with to.open("xb") as copy:
                    shutil.copyfileobj(original, copy, 1 << 20)


def contained(target: Path, *names: str) -> Path:
    """The path of these names below the target. Raises AnnotatorError for one that would lie elsewhere."""
    path = target.joinpath(*names)
    if path.resolve().parts != (*target.resolve().parts, *names):
        raise AnnotatorError(f"{'/'.join(names)!r} would lie outside of {target}")
    return path


def _link(original: BinaryIO, path: Path, to: Path) -> bool:
    """A hard link to the very file that was opened; False where that cannot be."""
    try:
        os.link(path.resolve(), to)
    except OSError:
        return False
    if os.path.samestat(os.fstat(original.fileno()), to.stat()):
        return True
    to.unlink()
    return False
