"""Images: what was imported, where their training pixels lie, which of them can be asked."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from annotator.errors import NotFound
from annotator.store import overlap
from annotator.store.db import utc_now

MISSING = "its file is missing"


def pixel_file(instance: Path, side: int) -> Path:
    """Where the training pixels of this size lie: raw rows of side * side * 3 bytes, as images.row."""
    return instance / "cache" / f"pixels-{side}.u8"


def training_rows(db: Database, *, audit: bool) -> list[tuple[int, int]]:
    """(image id, row of its pixels) by id: the audit's images, or all others.

    An image whose file is gone stays as long as somebody answered it: its pixels still train.
    """
    sql = """SELECT id, row FROM images WHERE row IS NOT NULL AND audit = ?
        AND (aside IS NULL OR EXISTS (SELECT 1 FROM standing WHERE image_id = images.id)) ORDER BY id"""
    return db.execute(sql, [audit]).fetchall()


def get(db: Database, image_id: int) -> dict[str, Any]:
    """{id, sha256, width, height, aside, ...} and `paths`, as bytes, those that were seen last first.

    Raises NotFound.
    """
    row = next(db.query("SELECT * FROM images WHERE id = ?", [image_id]), None)
    if row is None:
        raise NotFound(f"there is no image {image_id} in this project")
    paths = db.execute("SELECT path FROM files WHERE image_id = ? ORDER BY missing, path", [image_id])
    return row | {"paths": [path for (path,) in paths.fetchall()]}


def counts(db: Database) -> dict[str, int]:
    """{images: that can be asked, audit: how many of them, aside: files and images that cannot be used}."""
    sql = f"""SELECT (SELECT count(*) FROM images) - (SELECT count(*) FROM ({_UNUSABLE})),
        (SELECT count(*) FROM images INDEXED BY images_audit WHERE audit = 1)
        - (SELECT count(*) FROM ({_UNUSABLE}) WHERE audit = 1),
        (SELECT count(*) FROM ({_ASIDE}))"""
    images, audit, aside = db.execute(sql).fetchone()
    return {"images": images, "audit": audit, "aside": aside}


def set_aside(db: Database, limit: int = 1000, offset: int = 0) -> list[dict[str, str]]:
    """[{name, reason}] of what cannot be used, by name."""
    return list(db.query(f"{_ASIDE} ORDER BY name LIMIT ? OFFSET ?", [limit, offset]))


def unusable(db: Database, image_ids: Collection[int]) -> set[int]:
    """Those of these images that were set aside: a ranking made before may still hold them."""
    sql = f"SELECT id FROM images WHERE aside IS NOT NULL AND id IN ({_listed(image_ids)})"
    return {image for (image,) in db.execute(sql).fetchall()}


def lack_pixels(db: Database) -> bool:
    """Has an image that can be used no pixels to train on? They were lost, and the import makes them anew."""
    sql = "SELECT EXISTS (SELECT 1 FROM images WHERE row IS NULL AND aside IS NULL)"
    return bool(db.execute(sql).fetchone()[0])


# few, and each of the two has an index
_UNUSABLE = """SELECT audit FROM images WHERE aside IS NOT NULL
    UNION ALL SELECT audit FROM images WHERE row IS NULL AND aside IS NULL"""
# a file that moved is not missing: its image has another one
_ASIDE = """SELECT name, problem AS reason FROM files WHERE problem IS NOT NULL
    UNION ALL SELECT name, aside FROM images CROSS JOIN files ON files.image_id = images.id AND problem IS NULL
    WHERE aside IS NOT NULL"""


def with_pixels(db: Database) -> dict[str, int]:
    """SHA-256 -> id of every image whose training pixels are there."""
    return dict(db.execute("SELECT sha256, id FROM images WHERE row IS NOT NULL").fetchall())


def hashes(db: Database) -> dict[int, str]:
    """id -> SHA-256 of every image."""
    return dict(db.execute("SELECT id, sha256 FROM images").fetchall())


def median_side(db: Database) -> int:
    """Of the shorter sides in pixels; 0 where there is no image."""
    sql = """SELECT min(width, height) AS side FROM images WHERE width IS NOT NULL ORDER BY side
        LIMIT 1 OFFSET (SELECT count(*) / 2 FROM images WHERE width IS NOT NULL)"""
    row = db.execute(sql).fetchone()
    return int(row[0]) if row else 0


def next_row(db: Database) -> int:
    """The first row of the pixel file that belongs to nobody."""
    return int(db.execute("SELECT coalesce(max(row) + 1, 0) FROM images").fetchone()[0])


def forget_pixels(db: Database, length: int) -> None:
    """The pixel file has only so many rows: it was lost, or the size is new. Call inside `write`."""
    db.execute("UPDATE images SET row = NULL WHERE row >= ?", [length])


def add(db: Database, sha256: str, row: int, size: tuple[int, int], shuffle: float, audit: bool) -> int:
    """Store an image, or where the pixels of a known one lie now, and return its id. Call inside `write`."""
    sql = """INSERT INTO images (sha256, row, width, height, shuffle, audit, created)
        VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET row = excluded.row RETURNING id"""
    rows = db.execute(sql, [sha256, row, *size, shuffle, audit, utc_now()]).fetchall()
    return int(rows[0][0])


def settle(db: Database, image_ids: Collection[int]) -> None:
    """Set images aside whose files are all missing; take back those that were found. Call inside `write`."""
    chosen = f"id IN ({_listed(image_ids)})"
    found = "EXISTS (SELECT 1 FROM files WHERE image_id = images.id AND NOT missing)"
    back = db.execute(f"UPDATE images SET aside = NULL WHERE {chosen} AND aside = ? AND {found}", [MISSING])
    if back.rowcount:
        overlap.follow(db)
    db.execute(f"UPDATE images SET aside = ? WHERE {chosen} AND aside IS NULL AND NOT {found}", [MISSING])
    gone = f"SELECT id FROM images WHERE {chosen} AND aside IS NOT NULL"
    db.execute(f"DELETE FROM queue WHERE image_id IN ({gone})")


def limit_audit(db: Database, most: int) -> None:
    """Keep at most so many audit images: those already answered, then the first by `shuffle`. Inside `write`.

    An image only ever leaves the audit, so that none is examined that trained before.
    """
    sql = """UPDATE images SET audit = 0 WHERE audit = 1 AND id NOT IN (
        SELECT id FROM images WHERE audit = 1
        ORDER BY EXISTS (SELECT 1 FROM labels WHERE image_id = images.id) DESC, shuffle LIMIT ?)"""
    db.execute(sql, [most])
    db.execute("DELETE FROM queue WHERE source = 'audit' AND image_id IN (SELECT id FROM images WHERE audit = 0)")


def _listed(ids: Iterable[int]) -> str:
    """Ids for an IN clause: any number of them, where parameters have a limit."""
    return ",".join(str(int(image_id)) for image_id in ids)
