"""Runs an export: the same for the command line and for the page."""

import dataclasses
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.export import FORMATS, Report, manifest
from annotator.export.filters import EVERY_LABEL, Filters
from annotator.export.selection import Selection
from annotator.store import project
from learner.registry import lookup
from learner.settings import as_dict


def run(
    instance: Path, db: Database, name: str, out: Path, settings: Any, filters: Filters, *, with_manifest: bool = False
) -> Report:
    """Write the format called `name` to `out`, and the manifest beside it.

    Raises AnnotatorError for filters that the format cannot honour and when something cannot be written.
    """
    suits(name, filters, with_manifest)
    export = lookup("format", FORMATS, name).load()
    if not with_manifest:
        report: Report = export(instance, db, out, settings, Selection(filters))
        return report
    with manifest.writing(out, **head(db, name, settings, filters)) as kept:
        report = export(instance, db, out, settings, Selection(filters, watch=kept.add))
        kept.end(report)
    return report


def suits(name: str, filters: Filters, with_manifest: bool = False) -> None:
    """AnnotatorError for what this format cannot do."""
    row = lookup("format", FORMATS, name)
    if filters.unlabeled and not row.unlabeled:
        able = ", ".join(other for other, format in FORMATS.items() if format.unlabeled)
        raise AnnotatorError(f"{name} cannot hold images without a label; use one of {able}")
    if not row.of_labels and (with_manifest or filters != EVERY_LABEL):
        raise AnnotatorError(f"{name} is no list of labels: it takes no filters and has no manifest")


def head(db: Database, name: str, settings: Any, filters: Filters) -> dict[str, Any]:
    """What a manifest says of the export as a whole."""
    facts = project.facts(db)
    return {
        "project": {"id": facts["id"], "name": facts["name"]},
        "classes": [row["name"] for row in project.classes(db)],
        "format": name, "settings": as_dict(settings), "filters": dataclasses.asdict(filters),
    }  # fmt: skip
