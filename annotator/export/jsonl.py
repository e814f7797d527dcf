"""The rows of the CSV export as JSON, one object per line, with true types."""

from pathlib import Path

from sqlite_utils import Database

from annotator.export import Report, tables
from annotator.export.selection import ALL, Selection
from learner.settings import NoSettings


def export(
    instance: Path, db: Database, out: Path, settings: NoSettings | None = None, selection: Selection = ALL
) -> Report:
    """Write the file, replacing an older one. Raises AnnotatorError when it cannot be written."""
    with tables.text(out) as file:
        return Report(tables.write_lines(file, tables.json_rows(instance, db, selection)), [])
