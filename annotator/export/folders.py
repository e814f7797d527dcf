"""What formats that are a folder share: where files go, on the disk or in a ZIP that is sent while it is made.

Such a format is a generator `entries(sink, db, rows, settings)` that puts files into the sink and pauses after each.
Stored paths are not trusted: every original is checked again when it is opened, and its content must be what was
labeled.
"""

import io
import os
import re
import shutil
import time
import uuid
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from sqlite_utils import Database

from annotator import images
from annotator.errors import AnnotatorError
from annotator.export import Format, Report
from annotator.export.names import Names, safe_stem, split_suffix
from annotator.export.selection import ALL, Row, Selection
from annotator.originals import Unreadable, open_original
from annotator.store import project as project_store

CLASSES = "classes.json"
_SUFFIXES = {
    "JPEG": ".jpg", "MPO": ".jpeg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif",
    "PPM": ".ppm",
}  # fmt: skip
_PIECE = 1 << 20  # bytes
_LINES = 1000


class Sink(ABC):
    """Takes the files of an export; each name is one component of a path."""

    def __init__(self, photos: Path) -> None:
        self.photos, self.written = photos, 0
        self.skipped: list[tuple[str, str]] = []

    def original(self, row: Row, *names: str) -> bool:
        """The file of this row; False where it cannot be used, with the reason among `skipped`."""
        try:
            with open_original(self.photos, row["file"], row["sha256"]) as file:
                self.file(file, names, self.photos / os.fsdecode(row["file"]))
        except Unreadable as error:
            self.skipped.append((row["path"], str(error)))
            return False
        self.written += 1
        return True

    def text(self, pieces: Iterable[str], *names: str) -> Iterator[None]:
        """A UTF-8 file in pieces."""
        with self.opened(names) as file:
            for some in _batches(pieces, _LINES):
                file.write("".join(some).encode())
                yield

    def file(self, source: BinaryIO, names: tuple[str, ...], path: Path) -> None:
        """A copy of an open file that lies at `path`."""
        with self.opened(names, os.fstat(source.fileno()).st_size) as copy:
            shutil.copyfileobj(source, copy, _PIECE)

    @abstractmethod
    def opened(self, names: tuple[str, ...], size: int = 0) -> Any:
        """A new file to write bytes to; a context manager."""

    @abstractmethod
    def folder(self, *names: str) -> None:
        """A folder, which may stay empty."""


def _batches(pieces: Iterable[str], size: int) -> Iterator[list[str]]:
    some: list[str] = []
    for piece in pieces:
        some.append(piece)
        if len(some) == size:
            yield some
            some = []
    yield some


class OnDisk(Sink):
    """Below a folder; with links instead of copies where that is asked for and can be."""

    def __init__(self, photos: Path, target: Path, links: bool = False) -> None:
        super().__init__(photos)
        self.target, self.links = target, links

    def file(self, source: BinaryIO, names: tuple[str, ...], path: Path) -> None:
        if not (self.links and _link(source, path, self._place(names))):
            super().file(source, names, path)

    def opened(self, names: tuple[str, ...], size: int = 0) -> BinaryIO:
        return self._place(names).open("xb")

    def folder(self, *names: str) -> None:
        contained(self.target, *names).mkdir(parents=True, exist_ok=True)

    def _place(self, names: tuple[str, ...]) -> Path:
        path = contained(self.target, *names)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class Zipped(Sink):
    """In a ZIP archive, of which `taken` gives what is ready; images are stored as they are."""

    def __init__(self, photos: Path, top: str) -> None:
        super().__init__(photos)
        self.top, self._pipe = top, _Pipe()
        self._zip = zipfile.ZipFile(self._pipe, "w")

    def opened(self, names: tuple[str, ...], size: int = 0) -> Any:
        info = zipfile.ZipInfo("/".join((self.top, *names)), time.localtime()[:6])
        info.external_attr, info.file_size = 0o644 << 16, size
        return self._zip.open(info, "w")

    def folder(self, *names: str) -> None:
        self._zip.mkdir("/".join((self.top, *names)))

    def taken(self) -> bytes:
        return self._pipe.taken()

    def close(self) -> None:
        self._zip.close()


class _Pipe(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def taken(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


Entries = Callable[[Sink, Database, list[Row], Any], Iterator[None]]


def load(row: Format) -> Entries:
    """The generator of a folder format."""
    module, _, name = row.entries.partition(":")
    entries: Entries = getattr(import_module(module), name)
    return entries


def to_disk(
    entries: Entries, instance: Path, db: Database, out: Path, settings: Any, selection: Selection = ALL
) -> Report:
    """Write a format's files below `out`, which must be new or empty; all of it or nothing.

    Files that are gone, changed or lead out of the project's folder are skipped with the reason. Raises
    AnnotatorError for a target that will not do and when it cannot be written.
    """
    photos = instance / project_store.facts(db)["folder"]
    out = _free_target(out, photos)
    rows = list(selection.rows(instance, db))  # copying takes long; a reader holds up the log
    try:
        with _appearing(out) as target:
            sink = OnDisk(photos, target, settings.links)
            for _ in entries(sink, db, rows, settings):
                pass
    except OSError as error:
        raise AnnotatorError(f"cannot write {out}: {error.strerror}") from None
    return Report(sink.written, sink.skipped)


def zipped(entries: Iterator[None], sink: Zipped) -> Iterator[bytes]:
    """The archive in pieces, each about as large as one file."""
    for _ in entries:
        if piece := sink.taken():
            yield piece
    sink.close()
    yield sink.taken()


def class_folders(db: Database, *reserved: str) -> dict[int, str]:
    """Class id -> a safe name for its folder; none is like another or one of `reserved`."""
    taken = Names()
    for name in reserved:
        taken.take(name)
    return {row["id"]: taken.take(safe_stem(row["name"])) for row in project_store.classes(db)}


class Flat:
    """Names for files that lie in one folder: words without a space or a dot, no two alike, and a suffix."""

    def __init__(self) -> None:
        self._names = Names()

    def take(self, sink: Sink, row: Row) -> str:
        stem, _ = split_suffix(row["path"].rpartition("/")[2])
        return self._names.take(safe_stem(re.sub(r"[^\w-]+", "_", stem))) + suffix(sink, row)


def suffix(sink: Sink, row: Row) -> str:
    """The file's suffix if readers know it, else one for its content: many look at nothing else."""
    _, found = split_suffix(row["path"].rpartition("/")[2])
    if found.lower() in _SUFFIXES.values():
        return found.lower()
    try:
        with open_original(sink.photos, row["file"]) as file:
            return _SUFFIXES.get(images.format_of(file), ".img")
    except (Unreadable, images.BadImage):
        return ".img"  # and `original` says why it is skipped


def _free_target(out: Path, photos: Path) -> Path:
    """The target as a real path."""
    out, photos = out.resolve(), photos.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AnnotatorError(f"{out} is there already and not an empty folder; choose a new one")
    if out == photos or photos in out.parents:
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
