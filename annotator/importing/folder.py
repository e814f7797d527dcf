"""Imports the project's folder: new, changed, moved and vanished files, each picture once, by content.

Files are taken in an order drawn from their paths' hash, always the same: whoever labels while the import
still runs sees a fair sample of all folders.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from time import monotonic

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.importing.folder_labels import FolderLabels
from annotator.importing.pixels import PixelFile
from annotator.importing.reading import Reader, Reading
from annotator.importing.walk import Entry, walk
from annotator.store import db as store
from annotator.store import files
from annotator.store import images as image_store
from annotator.store import project as project_store
from annotator.store.lock import Taken, alone

AUDIT_LIMIT = 2000
BATCH_FILES = 200
BATCH_SECONDS = 0.25

Report = Callable[[int, int], None]
Stop = Callable[[], bool]


class Busy(AnnotatorError):
    """Another import of the instance is running."""


@dataclass(frozen=True)
class Counts:
    """How an import ended."""

    files: int = 0  # in the folder
    images: int = 0  # that can be asked, all imports together
    new: int = 0  # images whose training pixels were made now
    aside: int = 0  # files and images that cannot be used
    labels: int = 0  # out of folder names, new
    notes: tuple[str, ...] = ()  # what got no label out of folder names
    complete: bool = True  # False: it was stopped


def scan(instance: Path, report: Report, stop: Stop) -> Counts:
    """Bring the store up to date with the project's folder. `report(files done, total)` after every batch.

    Raises AnnotatorError when the folder cannot be read and when everything in it is gone; Busy when another
    import of this instance is running.
    """
    try:
        with closing(store.connect(instance / store.FILE)) as db, alone(instance / "cache" / "import.lock"):
            return _Import(instance, db).run(report, stop)
    except Taken:
        raise Busy(f"another import into {instance} is running; wait for its end") from None


class _Import:
    """One look at the folder."""

    def __init__(self, instance: Path, db: Database) -> None:
        facts = project_store.facts(db)
        self.db, self.instance = db, instance
        self.folder = (instance / facts["folder"]).absolute()  # relative where it lies in the instance
        self.side: int = facts["image_size"]
        self.seed: int = facts["seed"]
        self.audit_share: float = facts["audit_share"]
        self.wants_labels: bool = facts["labels_from_folders"]
        self.labels: FolderLabels | None = None
        self.new = self.labeled = 0

    def run(self, report: Report, stop: Stop) -> Counts:
        entries = self._entries(stop)
        if stop():
            return self._counts(len(entries), complete=False)
        with closing(PixelFile(image_store.pixel_file(self.instance, self.side), self.side)) as self.pixels:
            self._look_at_store(entries)
            todo = [entry for entry in entries if not self._is_unchanged(entry)]
            done = len(entries) - len(todo)
            report(done, len(entries))
            for batch in self._batches(todo, stop):
                self._commit(batch)
                done += len(batch)
                report(done, len(entries))
        complete = not stop()
        if complete:
            self._finish({entry.path for entry in entries})
        return self._counts(len(entries), complete)

    def _entries(self, stop: Stop) -> list[Entry]:
        found = []
        for entry in walk(self.folder, skip=self.instance.resolve()):
            if stop():
                break
            found.append(entry)
        return sorted(found, key=lambda entry: (blake2b(entry.path, digest_size=8).digest(), entry.path))

    def _look_at_store(self, entries: list[Entry]) -> None:
        self.before = files.known(self.db)
        if not entries and any(not row.missing for row in self.before.values()):
            raise AnnotatorError(f"everything in {self.folder} is gone; is the drive connected?")
        with store.write(self.db):
            image_store.forget_pixels(self.db, len(self.pixels))
        self.before = files.known(self.db)
        self.ids = image_store.with_pixels(self.db)  # SHA-256 -> image id
        self.next_row = image_store.next_row(self.db)
        if self.wants_labels:
            self.labels = FolderLabels.of(self.db, (entry.path for entry in entries if not entry.problem))

    def _is_unchanged(self, entry: Entry) -> bool:
        """Known as it is now: as an image, or as a file that is none."""
        row = self.before.get(entry.path)
        if row is None or entry.problem or row.missing or (row.image_id and not row.has_pixels):
            return False
        return (row.size, row.mtime_ns) == (entry.size, entry.mtime_ns)

    def _batches(self, entries: list[Entry], stop: Stop) -> Iterator[list[Reading]]:
        """What was read, a few at a time, so that labelling starts at once."""
        batch: list[Reading] = []
        due = monotonic() + BATCH_SECONDS
        with closing(Reader(self.folder, self.side, self.ids).read_all(entries)) as readings:
            for reading in readings:
                batch.append(reading)
                if stop():
                    break
                if len(batch) >= BATCH_FILES or monotonic() > due:
                    yield batch
                    batch, due = [], monotonic() + BATCH_SECONDS
        if batch:
            yield batch

    def _commit(self, batch: list[Reading]) -> None:
        """Pixels on disk first, then the rows that name them."""
        new = {r.sha256: r for r in batch if r.sha256 and r.pixels is not None and r.sha256 not in self.ids}
        self.pixels.write(self.next_row, [r.pixels for r in new.values() if r.pixels is not None])
        with store.write(self.db):
            for row, (content, reading) in enumerate(new.items(), self.next_row):
                self.ids[content] = self._add(content, row, reading)
            touched = {image for reading in batch for image in self._put(reading) if image is not None}
            image_store.settle(self.db, touched)
        self.next_row += len(new)
        self.new += len(new)
        if self.labels:
            self.labeled += self.labels.apply(touched)

    def _add(self, content: str, row: int, reading: Reading) -> int:
        shuffle = shuffle_value(self.seed, content)
        return image_store.add(self.db, content, row, reading.size, shuffle, shuffle < self.audit_share)

    def _put(self, reading: Reading) -> tuple[int | None, int | None]:
        """Store a file; the images it belonged to before and belongs to now."""
        entry, row = reading.entry, self.before.get(reading.entry.path)
        before = row.image_id if row else None
        now = before if reading.retry else self.ids[reading.sha256] if reading.sha256 else None
        size, mtime_ns = (0, 0) if reading.retry else (entry.size, entry.mtime_ns)
        missing = reading.retry and now is not None
        files.put(self.db, entry.path, files.Known(now, size, mtime_ns, missing, reading.problem))
        return before, now

    def _finish(self, seen: set[bytes]) -> None:
        """What only a look at everything can tell: vanished files, the audit's size, labels now possible."""
        gone = [path for path, row in self.before.items() if path not in seen and not row.missing]
        for start in range(0, len(gone), BATCH_FILES):
            self._mark_missing(gone[start : start + BATCH_FILES])
        with store.write(self.db):
            image_store.limit_audit(self.db, AUDIT_LIMIT)
        if self.labels:
            self.labeled += self.labels.apply_all(self.ids.values())
            with store.write(self.db):
                project_store.put(self.db, import_notes=self.labels.notes())

    def _mark_missing(self, paths: Iterable[bytes]) -> None:
        with store.write(self.db):
            for path in paths:
                files.mark_missing(self.db, path)
            touched = (self.before[path].image_id for path in paths)
            image_store.settle(self.db, {image for image in touched if image is not None})

    def _counts(self, found: int, complete: bool) -> Counts:
        now = image_store.counts(self.db)
        notes = tuple(self.labels.notes()) if self.labels else ()
        return Counts(found, now["images"], self.new, now["aside"], self.labeled, notes, complete)


def shuffle_value(seed: int, content: str) -> float:
    """Uniform in [0, 1), from the project's seed and the SHA-256 of an image: the same in every import."""
    value = sha256(f"{seed}:{content}".encode()).digest()
    return (int.from_bytes(value[:8], "big") >> 11) / 2**53
