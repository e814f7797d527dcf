"""`annotator backup` and `annotator restore`: a project as one file, taken while people label.

The file is a ZIP archive: the labels (SQLite's online backup), the newest model with its predictions, the images if
wanted, and manifest.json with the SHA-256 of each. Caches are not in it: they are made again.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple

from sqlite_utils import Database

from annotator import __version__, disk
from annotator.errors import AnnotatorError
from annotator.originals import Unreadable, from_printable, open_original
from annotator.schema import migrations
from annotator.store import copy, rounds
from annotator.store import db as store
from annotator.store import project as project_store

MANIFEST = "manifest.json"
IMAGES = "images"  # the folder of the images, in the archive and in a restored instance
FORMAT = 1


class Summary(NamedTuple):
    """What a backup holds."""

    answers: int
    images: int
    skipped: list[tuple[str, str]]  # (file name, why its image is not in it)


def backup(instance: Path, out: Path, *, images: bool = False) -> Summary:
    """Write the archive; it appears whole or not at all. Raises AnnotatorError when `out` is there already."""
    if out.exists():
        raise AnnotatorError(f"{out} is there already; name another file with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=".backup-") as folder, copy.whole(out) as part:
        still = Path(folder) / store.FILE
        copy.database(instance / store.FILE, still)
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive, closing(_read_only(still)) as connection:
            return _Writer(instance, Database(connection), archive).write(still, images)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


class _Writer:
    """Puts one moment of a project into an archive."""

    def __init__(self, instance: Path, db: Database, archive: zipfile.ZipFile) -> None:
        self.instance, self.db, self.archive = instance, db, archive
        self.hashes: dict[str, str] = {}
        self.skipped: list[tuple[str, str]] = []

    def write(self, still: Path, images: bool) -> Summary:
        self._add_file(store.FILE, still)
        self._add_model()
        if images:
            self._add_images()
        facts = project_store.facts(self.db)
        answers = int(self.db.execute("SELECT count(*) FROM labels").fetchone()[0])
        manifest = {
            "format": FORMAT, "annotator": __version__, "schema": migrations.applied(self.db)[-1].name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"), "project": facts["name"], "id": facts["id"],
            "answers": answers, "images": images, "sha256": self.hashes,
        }  # fmt: skip
        self.archive.writestr(MANIFEST, json.dumps(manifest, indent=2))
        copied = sum(name.startswith(f"{IMAGES}/") for name in self.hashes)
        return Summary(answers, copied, self.skipped)

    def _add_model(self) -> None:
        """The newest model. A round that ends meanwhile may take it away: then there is none in the backup."""
        row = rounds.latest_model(self.db)
        if row is None:
            return
        folder = self.instance / str(row["folder"])
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            self._add_file(f"{row['folder']}/{path.name}", path)

    def _add_images(self) -> None:
        folder = self.instance / project_store.facts(self.db)["folder"]
        found = self.db.execute("SELECT path, name FROM files WHERE image_id IS NOT NULL AND NOT missing ORDER BY path")
        for path, name in found.fetchall():
            try:
                with open_original(folder, path) as file:
                    self._add(f"{IMAGES}/{name}", file)
            except Unreadable as error:
                self.skipped.append((name, str(error)))

    def _add_file(self, name: str, path: Path) -> None:
        with path.open("rb") as file:
            self._add(name, file)

    def _add(self, name: str, file: IO[bytes]) -> None:
        digest = hashlib.sha256()
        with self.archive.open(name, "w", force_zip64=True) as entry:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                entry.write(chunk)
        self.hashes[name] = digest.hexdigest()


def restore(archive: Path, instance: Path) -> dict[str, Any]:
    """Unpack a backup into a new or empty instance folder, and return its manifest.

    Nothing of it counts before all of it was checked. Raises AnnotatorError for a file that is no backup, is damaged
    or comes from a newer version, and for an instance that holds something.
    """
    if instance.exists() and (not instance.is_dir() or any(instance.iterdir())):
        raise AnnotatorError(f"{instance} is not empty; name a new folder with --instance")
    instance.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=instance.parent, prefix=".restore-") as place:
        target = Path(place) / "instance"
        try:
            with zipfile.ZipFile(archive) as opened:
                manifest = _unpack(opened, target)
        except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError) as error:
            raise AnnotatorError(f"{archive} is no backup, or it is damaged: {error}") from None
        _settle(target, manifest)
        if instance.exists():
            instance.rmdir()  # it is empty
        target.rename(instance)
        copy.sync(instance.parent)
    return manifest


def _unpack(archive: zipfile.ZipFile, target: Path) -> dict[str, Any]:
    """Everything that the manifest names, with the content it names."""
    size, left = sum(entry.file_size for entry in archive.infolist()), disk.free(target.parent)
    if size > left:
        raise ValueError(f"it holds {size >> 20} MiB, and the disk has {left >> 20} MiB left")
    manifest: dict[str, Any] = json.loads(archive.read(MANIFEST))
    if manifest["format"] != FORMAT:
        raise ValueError(f"its format is {manifest['format']!r}; this version reads {FORMAT}")
    for name, expected in manifest["sha256"].items():
        path = _inside(target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as entry, path.open("xb") as file:
            shutil.copyfileobj(entry, file)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise ValueError(f"the content of {name} has changed")
        copy.sync(path)
    if not (target / store.FILE).exists():
        raise ValueError(f"there is no {store.FILE} in it")
    return manifest


def _inside(target: Path, name: str) -> Path:
    """Where an entry goes: only below the target, only where a backup has something."""
    parts = PurePosixPath(os.fsdecode(from_printable(name))).parts
    if name != store.FILE and (len(parts) < 2 or parts[0] not in (IMAGES, "rounds")):
        raise ValueError(f"{name!r} does not belong into a backup")
    if ".." in parts or "\0" in name:
        raise ValueError(f"{name!r} leads out of it")
    return target.joinpath(*parts)


def _settle(target: Path, manifest: dict[str, Any]) -> None:
    """Check the labels, and forget what a backup does not carry: caches, leases, other rounds' models."""
    (target / store.FILE).chmod(0o600)
    with closing(sqlite3.connect(target / store.FILE)) as connection:
        found = connection.execute("PRAGMA quick_check").fetchone()[0]
        if found != "ok":
            raise AnnotatorError(f"the labels in this backup are damaged: {found}")
    db = store.upgrade(target / store.FILE)
    try:
        with store.write(db):
            for row in rounds.finished(db):
                if row["folder"] and not (target / row["folder"]).is_dir():
                    rounds.update(db, row["number"], folder=None)
            if manifest["images"]:
                project_store.put(db, folder=IMAGES)
    finally:
        db.close()


def default_name(instance: Path) -> Path:
    """annotator-PROJECT-TIME.zip"""
    db = store.connect(instance / store.FILE)
    name = "".join(c if c.isalnum() else "-" for c in project_store.facts(db)["name"])[:60]
    db.close()
    return Path(f"annotator-{name}-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S')}.zip")
