"""What files suggest for images, until a model of the project says something itself. No labels."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlite_utils import Database

from annotator.store.db import utc_now


class Suggested(NamedTuple):
    """What a file says of an image."""

    class_id: int
    confidence: float | None  # from 0 to 1; None: the file does not say
    origin: str  # the name of the file


def put(db: Database, image_id: int, said: Suggested) -> None:
    """In place of what another file suggested. Call inside `write`."""
    sql = """INSERT INTO suggestions (image_id, class_id, confidence, origin, created) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (image_id) DO UPDATE SET class_id = excluded.class_id, confidence = excluded.confidence,
        origin = excluded.origin, created = excluded.created"""
    db.execute(sql, [image_id, *said, utc_now()])


def read(db: Database, image_ids: Iterable[int]) -> dict[int, Suggested]:
    """Image id -> its suggestion, of those that have one; the class as it was when it was suggested."""
    listed = ",".join(str(int(image)) for image in image_ids)
    sql = f"SELECT image_id, class_id, confidence, origin FROM suggestions WHERE image_id IN ({listed})"
    return {image: Suggested(*said) for image, *said in db.execute(sql).fetchall()}
