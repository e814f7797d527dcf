"""The numbers that pages show of the whole project."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlite_utils import Database

from annotator.store import images


def counts(db: Database) -> dict[str, int]:
    """usable images; how many are in the audit, have an answer, have a label, are both; problems: files set aside."""
    there = images.counts(db)
    by_status = statuses(db)
    answered = by_status.total() - by_status["unlabeled"]
    found = {"usable": there["images"], "audit": there["audit"], "problems": there["aside"]}
    return found | {"answered": answered, "labeled": by_status["label"], "audit_labeled": _audit_labeled(db)}


def statuses(db: Database) -> Counter[str]:
    """Status -> images that can be seen."""
    every = Counter(dict(db.execute("SELECT status, count(*) FROM states GROUP BY status").fetchall()))
    sql = """SELECT status, count(*) FROM images CROSS JOIN states ON image_id = images.id
        WHERE aside IS NOT NULL GROUP BY status"""
    return every - Counter(dict(db.execute(sql).fetchall()))


def _audit_labeled(db: Database) -> int:
    labeled = """SELECT count(*) FROM images INDEXED BY {index} CROSS JOIN states ON image_id = images.id
        WHERE audit = 1 AND status = 'label' AND {which}"""
    every = db.execute(labeled.format(index="images_audit", which="true")).fetchone()[0]
    return int(every - db.execute(labeled.format(index="images_aside", which="aside IS NOT NULL")).fetchone()[0])


def faces(db: Database, image_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Image id -> {sha256, width, height, audit}: what a page needs to show an image."""
    chosen = ",".join(str(int(image)) for image in image_ids)
    rows = db.query(f"SELECT id, sha256, width, height, audit FROM images WHERE id IN ({chosen})")
    return {row["id"]: row for row in rows}


def duplicates(db: Database, limit: int = 1000) -> list[dict[str, str]]:
    """[{name, same_as}]: files whose content another file, first by name, has too. They are asked once."""
    sql = """SELECT files.name AS name, first.name AS same_as FROM files
        JOIN (SELECT image_id, min(name) AS name FROM files WHERE NOT missing AND image_id IN (
                SELECT image_id FROM files WHERE image_id IS NOT NULL GROUP BY image_id HAVING count(*) > 1)
            GROUP BY image_id HAVING count(*) > 1) AS first USING (image_id)
        WHERE files.name <> first.name AND NOT files.missing ORDER BY files.name LIMIT ?"""
    return list(db.query(sql, [limit]))
