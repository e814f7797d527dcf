"""A list of paths and class numbers, as many trainers read ImageNet: train.txt, classes.txt and the images.

A line of train.txt is `images/name.png 3`; no name has a space. Line 4 of classes.txt is the name of class 3, with what
does not print as in paths.
"""

from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from annotator.export import ImageFolderSettings, Report, folders
from annotator.export.selection import ALL, Row, Selection
from annotator.originals import printable
from annotator.store import project

_DEFAULT = ImageFolderSettings()


def export(
    instance: Path, db: Database, out: Path, settings: ImageFolderSettings = _DEFAULT, selection: Selection = ALL
) -> Report:
    """See `folders.to_disk`."""
    return folders.to_disk(entries, instance, db, out, settings, selection)


def entries(sink: folders.Sink, db: Database, rows: list[Row], settings: ImageFolderSettings) -> Iterator[None]:
    """images/..., train.txt, classes.txt."""
    names, numbers = folders.Flat(), project.class_positions(db)
    lines: list[str] = []
    for row in rows:
        name = names.take(sink, row)
        if sink.original(row, "images", name):
            lines.append(f"images/{name} {numbers[row['class_id']]}\n")
        yield
    yield from sink.text(lines, "train.txt")
    yield from sink.text((printable(row["name"].encode()) + "\n" for row in project.classes(db)), "classes.txt")
