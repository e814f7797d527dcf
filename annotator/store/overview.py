"""The numbers that pages show of the whole project."""

from collections.abc import Iterable
from typing import Any

from sqlite_utils import Database

from annotator.store import images


def counts(db: Database) -> dict[str, int]:
    """usable images; how many are in the audit, have an answer, have a label, are both; problems: files set aside."""
    sql = """SELECT count(*) AS answered, coalesce(sum(status = 'label'), 0) AS labeled,
        coalesce(sum(status = 'label' AND audit), 0) AS audit_labeled
        FROM states JOIN images ON images.id = states.image_id WHERE aside IS NULL AND status <> 'unlabeled'"""
    there = images.counts(db)
    answers = next(db.query(sql))
    return {"usable": there["images"], "audit": there["audit"], "problems": there["aside"], **answers}


def faces(db: Database, image_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Image id -> {sha256, width, height, audit}: what a page needs to show an image."""
    chosen = ",".join(str(int(image)) for image in image_ids)
    rows = db.query(f"SELECT id, sha256, width, height, audit FROM images WHERE id IN ({chosen})")
    return {row["id"]: row for row in rows}


def duplicates(db: Database, limit: int = 1000) -> list[dict[str, str]]:
    """[{name, same_as}]: files whose content another file, first by name, has too. They are asked once."""
    sql = """SELECT files.name AS name, first.name AS same_as FROM files
        JOIN (SELECT image_id, min(name) AS name FROM files WHERE NOT missing GROUP BY image_id HAVING count(*) > 1)
            AS first USING (image_id)
        WHERE files.name <> first.name AND NOT files.missing ORDER BY files.name LIMIT ?"""
    return list(db.query(sql, [limit]))
