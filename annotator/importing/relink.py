"""Does a folder hold a project's images, wherever they were before?"""

from pathlib import Path

from sqlite_utils import Database

from annotator.importing.walk import walk
from annotator.originals import Unreadable, digest, open_original

TRIES = 200  # files of a fitting size that are read


def holds_known_image(db: Database, folder: Path, skip: Path) -> bool:
    """Is there a file with the content of an image of the project? Looks only into files of a known size."""
    sizes = {size for (size,) in db.execute("SELECT DISTINCT size FROM files WHERE image_id IS NOT NULL").fetchall()}
    fitting = (entry for entry in walk(folder, skip) if not entry.problem and entry.size in sizes)
    return any(_is_known(db, folder, entry.path) for _, entry in zip(range(TRIES), fitting, strict=False))


def _is_known(db: Database, folder: Path, path: bytes) -> bool:
    try:
        with open_original(folder, path) as file:
            return db.execute("SELECT 1 FROM images WHERE sha256 = ?", [digest(file)]).fetchone() is not None
    except Unreadable:
        return False
