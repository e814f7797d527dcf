"""COCO's JSON with a class per image: annotations have an image and a category, and no boxes."""

import json
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from annotator.export import Report, tables
from annotator.export.selection import ALL, Selection
from annotator.store import project
from learner.settings import NoSettings


def export(
    instance: Path, db: Database, out: Path, settings: NoSettings | None = None, selection: Selection = ALL
) -> Report:
    """Write the file; sizes are those of the turned image. Raises AnnotatorError when it cannot be written."""
    rows = list(enumerate(selection.rows(instance, db), 1))
    content = {
        "info": {"description": str(project.facts(db)["name"])},
        "images": [_image(number, row) for number, row in rows],
        "annotations": [{"id": number, "image_id": number, "category_id": row["class_id"]} for number, row in rows],
        "categories": [{"id": row["id"], "name": row["name"], "supercategory": ""} for row in project.classes(db)],
    }
    with tables.text(out) as file:
        json.dump(content, file, ensure_ascii=False)
    return Report(len(rows), [])


def _image(number: int, row: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "file_name": row["path"], "width": row["width"], "height": row["height"]}
