"""What one export takes: the rows that every format reads, filtered, and seen by whoever keeps a manifest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from annotator import predictions
from annotator.export.filters import EVERY_LABEL, Filters, check
from annotator.store import files, project, rounds

Row = dict[str, Any]
PREDICTED = ("predicted", "confidence")


@dataclass(frozen=True)
class Selection:
    """The filters, and who else wants to see each row."""

    filters: Filters = EVERY_LABEL
    images: tuple[int, ...] | None = None  # only these, for a sample
    watch: Callable[[Row], None] | None = None
    people: bool = False  # with all who gave the label; also where somebody watches

    def rows(self, instance: Path, db: Database) -> Iterator[Row]:
        """Files by path; see `files.labeled`. Raises AnnotatorError for a filter that names what is not there."""
        check(db, self.filters)
        found = files.labeled(db, self.filters, images=self.images, people=self.people or self.watch is not None)
        if self.filters.unlabeled:
            found = _with_predictions(instance, db, found)
        return self._watched(found) if self.watch else found

    def _watched(self, rows: Iterator[Row]) -> Iterator[Row]:
        assert self.watch is not None
        for row in rows:
            self.watch(row)
            yield row


ALL = Selection()


def _with_predictions(instance: Path, db: Database, rows: Iterator[Row]) -> Iterator[Row]:
    """The same rows with the class and the probability that the last round predicts; null where there is none."""
    model = rounds.latest_model(db)
    path = instance / str(model["folder"]) / predictions.FILE if model else None
    said = predictions.read_all(path) if path and path.exists() else {}
    names = {row["id"]: row["name"] for row in project.classes(db)}
    for row in rows:
        class_id, confidence = said.get(row["image"], (None, None))
        yield row | {"predicted": names.get(class_id), "confidence": confidence}
