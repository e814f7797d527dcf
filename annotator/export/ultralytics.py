"""Ultralytics' data set for classification: train/class/file, val/class/file, and test/class/file where asked for.

The split follows from each image's content alone: an image stays in its part whatever is labeled later, and two
files with the same content are never in two parts.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.export import Report, UltralyticsSettings, folders
from annotator.export.names import Names, split_suffix
from annotator.export.selection import ALL, Row, Selection
from annotator.store import project

_DEFAULT = UltralyticsSettings()


def export(
    instance: Path, db: Database, out: Path, settings: UltralyticsSettings = _DEFAULT, selection: Selection = ALL
) -> Report:
    """See `folders.to_disk`. Raises AnnotatorError also where val and test leave nothing to train on."""
    return folders.to_disk(entries, instance, db, out, settings, selection)


def entries(sink: folders.Sink, db: Database, rows: list[Row], settings: UltralyticsSettings) -> Iterator[None]:
    """Every part has a folder for every class that has labels: a class's number is its place among the folders."""
    if settings.val + settings.test >= 1:
        raise AnnotatorError(f"val {settings.val} and test {settings.test} leave nothing to train; lower one")
    folder_of = folders.class_folders(db)
    names: defaultdict[tuple[str, int], Names] = defaultdict(Names)
    _make_folders(sink, [folder_of[class_id] for class_id in sorted({row["class_id"] for row in rows})], settings)
    for row in rows:
        part, class_id = part_of(row["sha256"], settings), row["class_id"]
        stem, _ = split_suffix(row["path"].rpartition("/")[2])
        name = names[part, class_id].take(stem, folders.suffix(sink, row))
        sink.original(row, part, folder_of[class_id], name)
        yield
    named = {folder_of[row["id"]]: row["name"] for row in project.classes(db)}
    yield from sink.text([json.dumps(named, ensure_ascii=False, indent=2)], folders.CLASSES)


def part_of(sha256: str, settings: UltralyticsSettings) -> str:
    """train, val or test: where the first 52 bits of the hash, as a number in [0, 1), fall."""
    place = int(sha256[:13], 16) / 16**13
    if place < settings.val:
        return "val"
    return "test" if place < settings.val + settings.test else "train"


def _make_folders(sink: folders.Sink, classes: list[str], settings: UltralyticsSettings) -> None:
    parts = {"train": True, "val": settings.val > 0, "test": settings.test > 0}
    for part in (part for part, is_wanted in parts.items() if is_wanted):
        for name in classes:
            sink.folder(part, name)
