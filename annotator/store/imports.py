"""Labels that came with the images: said once by a person called `import`, appended like any other."""

import uuid
from collections.abc import Iterable

from sqlite_utils import Database

from annotator.store.db import utc_now
from annotator.store.project import person_id

PERSON = "import"


def latest(db: Database, image_ids: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Image id -> (class id of its last imported label, how many it had), also where that was undone."""
    listed = ",".join(str(int(image_id)) for image_id in image_ids)
    sql = f"""SELECT image_id, class_id, count(*), max(labels.id) FROM labels
        JOIN people ON people.id = person_id AND people.name = ?
        WHERE kind = 'label' AND image_id IN ({listed}) GROUP BY image_id"""
    return {row[0]: (row[1], row[2]) for row in db.execute(sql, [PERSON]).fetchall()}


def add(db: Database, project: str, image_id: int, class_id: int, before: int) -> None:
    """Append an imported label, the one after `before` others, once. Call inside `write`.

    Its UUID follows from the project, the image's content, the class and that number.
    """
    names = "SELECT sha256, name FROM images, classes WHERE images.id = ? AND classes.id = ?"
    sha256, name = db.execute(names, [image_id, class_id]).fetchone()
    sql = """INSERT INTO labels (uuid, image_id, kind, class_id, person_id, source, via, created)
        VALUES (?, ?, 'label', ?, ?, 'import', 'import', ?) ON CONFLICT (uuid) DO NOTHING"""
    key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{project}/{sha256}/{name}/{before}"))
    db.execute(sql, [key, image_id, class_id, person_id(db, PERSON), utc_now()])
    db.execute("DELETE FROM queue WHERE image_id = ?", [image_id])
