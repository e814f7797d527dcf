"""A folder of images with a metadata file, as `datasets.load_dataset("imagefolder", data_dir=...)` reads it.

Files are numbered: a file called test-1.png would count as a part of the test set. The metadata have the label, the
path in the project and where the label came from.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sqlite_utils import Database

from annotator.export import HuggingFaceSettings, Report, folders, tables
from annotator.export.selection import ALL, Row, Selection

_DEFAULT = HuggingFaceSettings()
PART = "train"
COLUMNS = (
    "file_name", "label", "path", "sha256", "person", "source", "round", "strategy", "score", "probability", "created",
)  # fmt: skip


def export(
    instance: Path, db: Database, out: Path, settings: HuggingFaceSettings = _DEFAULT, selection: Selection = ALL
) -> Report:
    """See `folders.to_disk`."""
    return folders.to_disk(entries, instance, db, out, settings, selection)


def entries(sink: folders.Sink, db: Database, rows: list[Row], settings: HuggingFaceSettings) -> Iterator[None]:
    """train/000001.png ..., and train/metadata.jsonl or train/metadata.csv of those that could be read."""
    taken: list[Row] = []
    for number, row in enumerate(rows, 1):
        name = f"{number:06d}{folders.suffix(sink, row)}"
        if sink.original(row, PART, name):
            taken.append(row | {"file_name": name, "label": row["class"]})
        yield
    write = WRITERS[settings.metadata]
    items = ({name: tables.finite(row[name]) for name in COLUMNS} for row in taken)
    yield from sink.text(write(items), PART, f"metadata.{settings.metadata}")


def _jsonl(items: Iterable[Row]) -> Iterator[str]:
    return (json.dumps(item, allow_nan=False) + "\n" for item in items)


def _csv(items: Iterable[Row]) -> Iterator[str]:
    yield _csv_line(COLUMNS)
    for item in items:
        yield _csv_line(item.values())


def _csv_line(values: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()


WRITERS: dict[str, Callable[[Iterable[Row]], Iterator[str]]] = {"jsonl": _jsonl, "csv": _csv}
