"""FiftyOne's FiftyOneImageClassificationDataset: data/ with the images, labels.json with a class number for each.

The keys of `labels` are the names of the files without their suffix, so no two files differ in the suffix alone.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from annotator.export import ImageFolderSettings, Report, folders
from annotator.export.selection import ALL, Row, Selection
from annotator.store import project

_DEFAULT = ImageFolderSettings()


def export(
    instance: Path, db: Database, out: Path, settings: ImageFolderSettings = _DEFAULT, selection: Selection = ALL
) -> Report:
    """See `folders.to_disk`."""
    return folders.to_disk(entries, instance, db, out, settings, selection)


def entries(sink: folders.Sink, db: Database, rows: list[Row], settings: ImageFolderSettings) -> Iterator[None]:
    """data/name.png and labels.json: {"classes": [...], "labels": {"name": 3}}."""
    names, numbers = folders.Flat(), project.class_positions(db)
    labels: dict[str, int] = {}
    sink.folder("data")
    for row in rows:
        name = names.take(sink, row)
        if sink.original(row, "data", name):
            labels[name.rpartition(".")[0]] = numbers[row["class_id"]]
        yield
    content = {"classes": [row["name"] for row in project.classes(db)], "labels": labels}
    yield from sink.text([json.dumps(content, ensure_ascii=False)], "labels.json")
