"""The labels as CSV (RFC 4180, UTF-8): one row for every file of every labeled image, ordered by path.

Values are exact. A class called `=1+1` stays that, although a spreadsheet would compute it: names changed
silently would be worse for everybody who reads the file back. Open such files with columns as text.
"""

import csv
from pathlib import Path

from sqlite_utils import Database

from annotator.export import Report, tables
from annotator.export.selection import ALL, Selection
from learner.settings import NoSettings


def export(
    instance: Path, db: Database, out: Path, settings: NoSettings | None = None, selection: Selection = ALL
) -> Report:
    """Write the file, replacing an older one; it appears complete or not at all.

    Raises AnnotatorError when it cannot be written.
    """
    with tables.text(out) as file:
        columns = tables.columns(selection)
        writer = csv.writer(file)
        writer.writerow(columns)
        written = 0
        for row in selection.rows(instance, db):
            writer.writerow(map(row.__getitem__, columns))
            written += 1
    return Report(written, [])
