"""A folder per class with the labeled originals in it, as torchvision's ImageFolder and most others read it.

Folder names are made safe; classes.json says which class each of them is.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from annotator.export import ImageFolderSettings, Report, folders
from annotator.export.names import Names, split_suffix
from annotator.export.selection import ALL, Row, Selection
from annotator.store import project

_DEFAULT = ImageFolderSettings()


def export(
    instance: Path, db: Database, out: Path, settings: ImageFolderSettings = _DEFAULT, selection: Selection = ALL
) -> Report:
    """See `folders.to_disk`."""
    return folders.to_disk(entries, instance, db, out, settings, selection)


def entries(
    sink: folders.Sink, db: Database, rows: list[Row], settings: ImageFolderSettings = _DEFAULT
) -> Iterator[None]:
    """class/file, and classes.json."""
    folder_of = folders.class_folders(db, folders.CLASSES)
    names: defaultdict[int, Names] = defaultdict(Names)  # class id -> file names in its folder
    for row in rows:
        name = names[row["class_id"]].take(*split_suffix(row["path"].rpartition("/")[2]))
        sink.original(row, folder_of[row["class_id"]], name)
        yield
    named = {folder_of[row["id"]]: row["name"] for row in project.classes(db)}
    yield from sink.text([json.dumps(named, ensure_ascii=False, indent=2)], folders.CLASSES)
