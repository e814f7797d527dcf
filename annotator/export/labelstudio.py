"""Tasks as Label Studio imports and exports them, in full and as JSON_MIN.

They fit a labeling interface with `<Image name="image" value="$image"/>` and `<Choices name="choice" toName="image">`.
A score in a prediction is the model's confidence. It is not stored with an answer, so suggestions have none. Nor is the
file that suggested where no model did.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from annotator.export import PrefixSettings, Report, tables
from annotator.export.selection import ALL, Selection

Json = dict[str, Any]
_DEFAULT = PrefixSettings()


def export(
    instance: Path, db: Database, out: Path, settings: PrefixSettings = _DEFAULT, selection: Selection = ALL
) -> Report:
    """One task per file, with its annotation, and the suggestion as prediction where there was one."""
    tasks = (
        _task(number, row, settings.prefix) for number, row in enumerate(tables.json_rows(instance, db, selection), 1)
    )
    with tables.text(out) as file:
        return Report(tables.write_list(file, tasks), [])


def export_min(
    instance: Path, db: Database, out: Path, settings: PrefixSettings = _DEFAULT, selection: Selection = ALL
) -> Report:
    """One flat object per file."""
    items = (
        _item(number, row, settings.prefix) for number, row in enumerate(tables.json_rows(instance, db, selection), 1)
    )
    with tables.text(out) as file:
        return Report(tables.write_list(file, items), [])


def _task(number: int, row: Json, prefix: str) -> Json:
    labeled = row["class"] is not None
    return {
        "id": number,
        "data": {"image": tables.location(row["path"], prefix)},
        "meta": row,
        "annotations": [_annotation(number, row)] if labeled else [],
        "predictions": list(_suggestion(row) if labeled else _prediction(row)),
    }


def _annotation(number: int, row: Json) -> Json:
    return {
        "id": number, "result": [_choice(row["uuid"], row["class"])], "was_cancelled": False, "ground_truth": False,
        "created_at": row["created"], "lead_time": row["seconds"],
    }  # fmt: skip


def _suggestion(row: Json) -> Iterator[Json]:
    """What the person saw."""
    if row["suggested"] is not None:
        version = "import" if row["model"] is None else str(row["model"])  # no round: a file suggested it
        yield {"model_version": version, "result": [_choice(f"{row['uuid']}-model", row["suggested"])]}


def _prediction(row: Json) -> Iterator[Json]:
    """What the last round says of an image without a label."""
    if row["predicted"] is not None:
        result = [_choice(f"{row['image']}-model", row["predicted"])]
        yield {"model_version": "last", "score": row["confidence"], "result": result}


def _choice(number: str, name: str) -> Json:
    value = {"choices": [name]}
    return {"id": number, "from_name": "choice", "to_name": "image", "type": "choices", "value": value}


def _item(number: int, row: Json, prefix: str) -> Json:
    return {
        "id": number, "image": tables.location(row["path"], prefix), "choice": row["class"], "annotation_id": number,
        "annotator": row["person"], "created_at": row["created"], "updated_at": row["created"],
        "lead_time": row["seconds"],
    }  # fmt: skip
