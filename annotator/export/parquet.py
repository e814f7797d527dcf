"""Parquet: the rows of the CSV export with typed columns, or the images themselves as the Hugging Face hub keeps them.

pyarrow is imported where it is used: it comes with the extra `parquet`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.export import Report, tables
from annotator.export.selection import ALL, Row, Selection
from annotator.originals import Unreadable, open_original
from annotator.store import copy, project
from learner.settings import NoSettings

_ROWS = 10_000  # in a group
_GROUP_BYTES = 64 << 20  # of images in a group, which a reader takes whole
_WHOLE = ("image", "round", "model")
_REAL = ("score", "probability", "seconds", "confidence")


def export(
    instance: Path, db: Database, out: Path, settings: NoSettings | None = None, selection: Selection = ALL
) -> Report:
    """Write the file, replacing an older one. Raises AnnotatorError when it cannot be written."""
    schema = _schema(tables.columns(selection))
    written, group = 0, []
    with _writer(out, schema) as writer:
        for row in tables.typed(instance, db, selection):
            group.append(row | {"created": row["created"] and datetime.fromisoformat(row["created"])})
            written += 1
            if len(group) == _ROWS:
                writer.write_batch(_batch(group, schema))
                group = []
        writer.write_batch(_batch(group, schema))
    return Report(written, [])


def export_images(
    instance: Path, db: Database, out: Path, settings: NoSettings | None = None, selection: Selection = ALL
) -> Report:
    """The same with the bytes of each image, its class as ClassLabel; what cannot be read is skipped."""
    photos = instance / project.facts(db)["folder"]
    numbers = project.class_positions(db)
    schema = _image_schema([row["name"] for row in project.classes(db)])
    skipped: list[tuple[str, str]] = []
    group: list[Row] = []
    written = size = 0
    with _writer(out, schema) as writer:
        for row in list(selection.rows(instance, db)):  # reading images takes long; a reader holds up the log
            try:
                data = _bytes(photos, row)
            except Unreadable as error:
                skipped.append((row["path"], str(error)))
                continue
            group.append(_item(row, data, numbers))
            written, size = written + 1, size + len(data)
            if size >= _GROUP_BYTES:
                writer.write_batch(_batch(group, schema))
                group, size = [], 0
        writer.write_batch(_batch(group, schema))
    return Report(written, skipped)


def _bytes(photos: Path, row: Row) -> bytes:
    with open_original(photos, row["file"], row["sha256"]) as file:
        return file.read()


def _item(row: Row, data: bytes, numbers: dict[int, int]) -> Row:
    image = {"bytes": data, "path": row["path"].rpartition("/")[2]}
    return {"image": image, "label": numbers.get(row["class_id"]), "path": row["path"], "sha256": row["sha256"]}


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise AnnotatorError("Parquet needs pyarrow; bring it with: pip install 'annotator[parquet]'") from None
    return pyarrow


def _schema(names: tuple[str, ...]) -> Any:
    pa = _pyarrow()
    types = dict.fromkeys(_WHOLE, pa.int64()) | dict.fromkeys(_REAL, pa.float64())
    types |= {"suggestion_shown": pa.bool_(), "created": pa.timestamp("ms", tz="UTC")}
    return pa.schema([(name, types.get(name, pa.string())) for name in names])


def _image_schema(classes: list[str]) -> Any:
    """With the features in the metadata, where `datasets` looks for them."""
    pa = _pyarrow()
    text = {"dtype": "string", "_type": "Value"}
    features = {
        "image": {"_type": "Image"}, "label": {"names": classes, "_type": "ClassLabel"}, "path": text, "sha256": text,
    }  # fmt: skip
    fields = [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64()),
        ("path", pa.string()), ("sha256", pa.string()),
    ]  # fmt: skip
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


@contextmanager
def _writer(out: Path, schema: Any) -> Iterator[Any]:
    """A writer of a file that becomes `out`, replacing an older one. Raises AnnotatorError when it cannot be."""
    try:
        with copy.whole(out) as part, _pyarrow().parquet.ParquetWriter(part, schema) as writer:
            yield writer
    except OSError as error:
        raise AnnotatorError(f"cannot write {out}: {error.strerror or error}") from None


def _batch(rows: list[Row], schema: Any) -> Any:
    return _pyarrow().RecordBatch.from_pylist(rows, schema)
