"""What an export would look like: the real thing, made of a few images of the project."""

import json
import zipfile
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from sqlite_utils import Database

from annotator.export import FORMATS, folders
from annotator.export.filters import Filters
from annotator.export.selection import Row, Selection
from annotator.store import labels, project

FEW = 3
CHEAP = 5_000  # answers, among which all are looked through; of more, only the last LATEST
LATEST = 500
_LINES, _WIDTH = 40, 240


class Sample(NamedTuple):
    """A text for people, and how many files the export has where that is cheap to know."""

    text: str
    files: int | None


def sample(instance: Path, db: Database, name: str, settings: Any, filters: Filters, scratch: Path) -> Sample:
    """Raises AnnotatorError where the export would. `scratch` is a folder to write in."""
    row = FORMATS[name]
    if not row.of_labels:
        return Sample(row.summary, None)
    is_cheap = labels.cursor(db) <= CHEAP and not filters.unlabeled
    among = None if is_cheap else _candidates(db, filters)
    found = Selection(filters, images=among).rows(instance, db)
    few = list(islice(found, FEW))
    count = len(few) + sum(1 for _ in found) if is_cheap else None
    if row.entries:
        return Sample(_tree(instance, db, name, settings, few), count)
    images = tuple(item["image"] for item in few)
    with TemporaryDirectory(dir=scratch) as folder:
        out = Path(folder) / row.out
        row.load()(instance, db, out, settings, Selection(filters, images=images))
        return Sample(_cut(_parquet(out) if row.extra else _lines(out)), count)


def _candidates(db: Database, filters: Filters) -> tuple[int, ...]:
    """The images of the last answers, and the first images where those without a label are wanted too."""
    sql = "SELECT DISTINCT image_id FROM (SELECT image_id FROM labels ORDER BY id DESC LIMIT ?)"
    found = [image for (image,) in db.execute(sql, [LATEST]).fetchall()]
    if filters.unlabeled:
        found += [image for (image,) in db.execute("SELECT id FROM images ORDER BY id LIMIT ?", [FEW]).fetchall()]
    return tuple(found)


def _tree(instance: Path, db: Database, name: str, settings: Any, rows: list[Row]) -> str:
    """Every path, and what stands in the files that are text."""
    sink = folders.Zipped(instance / project.facts(db)["folder"], FORMATS[name].out)
    entries = folders.load(FORMATS[name])(sink, db, rows, settings)
    data = b"".join(folders.zipped(entries, sink))
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return "\n".join(_cut(_described(archive, info)) for info in sorted(archive.infolist(), key=_place))


def _place(info: zipfile.ZipInfo) -> tuple[bool, str]:
    return _is_text(info.filename), info.filename


def _is_text(name: str) -> bool:
    return name.endswith((".json", ".jsonl", ".csv", ".txt"))


def _described(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[str]:
    yield info.filename
    if _is_text(info.filename):
        yield from ("    " + line for line in archive.read(info).decode().splitlines())


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\r\n")


def _parquet(path: Path) -> Iterator[str]:
    """The schema, then a row on each line."""
    from pyarrow import parquet

    table = parquet.read_table(path)
    yield from (f"{field.name}: {field.type}" for field in table.schema)
    for row in table.to_pylist():
        yield json.dumps(row, default=_brief, ensure_ascii=False)


def _brief(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def _cut(lines: Iterator[str]) -> str:
    return "\n".join(line if len(line) <= _WIDTH else line[:_WIDTH] + " …" for line in islice(lines, _LINES))
