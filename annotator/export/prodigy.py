"""Answers as Prodigy's `db-in` takes them: JSONL for its choice interface."""

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from annotator.export import PrefixSettings, Report, tables
from annotator.export.selection import ALL, Selection
from annotator.store import project

_DEFAULT = PrefixSettings()


def export(
    instance: Path, db: Database, out: Path, settings: PrefixSettings = _DEFAULT, selection: Selection = ALL
) -> Report:
    """One accepted task per file. Raises AnnotatorError when the file cannot be written."""
    options = [{"id": row["name"], "text": row["name"]} for row in project.classes(db)]
    tasks = (_task(row, options, settings.prefix) for row in tables.json_rows(instance, db, selection))
    with tables.text(out) as file:
        return Report(tables.write_lines(file, tasks), [])


def _task(row: dict[str, Any], options: list[dict[str, str]], prefix: str) -> dict[str, Any]:
    return {
        "image": tables.location(row["path"], prefix), "path": row["path"], "label": row["class"],
        "options": options, "accept": [row["class"]], "answer": "accept",
        "_view_id": "choice", "_session_id": row["person"],
        "_timestamp": int(datetime.fromisoformat(row["created"]).timestamp()),
    }  # fmt: skip
