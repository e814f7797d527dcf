"""Images that show what a class is: for whoever does not remember it."""

from collections.abc import Mapping
from typing import Any

from sqlite_utils import Database

COUNT = 6
NEWEST, REVIEWED = 200, 50  # images of a class that are looked at: of a hundred thousand not all


def candidates(db: Database, class_id: int) -> list[dict[str, Any]]:
    """[{image_id, sha256, reviewed, people}] of images whose label is this class: the newest, and the last reviewed.

    people: how many say so now. Never one of the audit: whoever answers there must not have seen it.
    """
    rows = db.query(_SQL, {"class": class_id, "newest": NEWEST, "reviewed": REVIEWED})
    return list(rows)


_SQL = """SELECT s.image_id, i.sha256,
        (SELECT count(DISTINCT person_id) FROM answers a
         WHERE a.image_id = s.image_id AND a.kind = 'label' AND a.class_id = :class) AS people,
        EXISTS (SELECT 1 FROM answers a WHERE a.image_id = s.image_id AND a.kind = 'label'
         AND a.class_id = :class AND a.source = 'review') AS reviewed
    FROM states s JOIN images i ON i.id = s.image_id
    WHERE s.status = 'label' AND s.class_id = :class AND NOT i.audit AND i.aside IS NULL AND s.image_id IN (
        SELECT image_id FROM (SELECT image_id FROM states INDEXED BY states_class
            WHERE class_id = :class ORDER BY latest DESC LIMIT :newest)
        UNION SELECT image_id FROM (SELECT image_id FROM labels
            WHERE class_id = :class AND source = 'review' ORDER BY id DESC LIMIT :reviewed))"""


def best(rows: list[dict[str, Any]], sure: Mapping[int, float]) -> list[dict[str, Any]]:
    """The first few: reviewed, then what several people say, then what the model is surest of."""

    def worth(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["reviewed"], row["people"], sure.get(row["image_id"], 0.0), row["image_id"]

    return sorted(rows, key=worth, reverse=True)[:COUNT]
