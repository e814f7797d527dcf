"""Labels that came with the images: said once by a person called `import`, appended like any other."""

import uuid
from collections.abc import Iterable

from sqlite_utils import Database

from annotator.store.db import utc_now
from annotator.store.project import person_id

PERSON = "import"


def latest(db: Database, image_ids: Iterable[int]) -> dict[int, tuple[int | None, int]]:
    """Image id -> (class id of its last imported label, how many it had); None where the import took it back.

    A label that somebody else took back counts as there: it does not come again.
    """
    listed = ",".join(str(int(image_id)) for image_id in image_ids)
    sql = f"""SELECT last.image_id, iif(own.id IS NULL, last.class_id, NULL), n FROM (
            SELECT max(labels.id) AS id, count(*) AS n FROM labels
            JOIN people ON people.id = person_id AND people.name = ?
            WHERE kind = 'label' AND image_id IN ({listed}) GROUP BY image_id
        ) AS found JOIN labels AS last ON last.id = found.id
        LEFT JOIN labels AS own ON own.undoes = last.uuid AND own.person_id = last.person_id"""
    return {image: (class_id, count) for image, class_id, count in db.execute(sql, [PERSON]).fetchall()}


def add(db: Database, project: str, image_id: int, class_id: int, before: int) -> None:
    """Append an imported label, the one after `before` others, once. Call inside `write`.

    Its UUID follows from the project, the image's content, the class and that number.
    """
    names = "SELECT sha256, name FROM images, classes WHERE images.id = ? AND classes.id = ?"
    sha256, name = db.execute(names, [image_id, class_id]).fetchone()
    key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{project}/{sha256}/{name}/{before}"))
    _append(db, uuid=key, image_id=image_id, kind="label", class_id=class_id)
    db.execute("DELETE FROM queue WHERE image_id = ?", [image_id])


def take_back(db: Database, image_id: int) -> None:
    """Undo the last imported label of an image that has one. Call inside `write`."""
    sql = """SELECT uuid FROM labels JOIN people ON people.id = person_id AND people.name = ?
        WHERE image_id = ? AND kind = 'label' ORDER BY labels.id DESC LIMIT 1"""
    (undone,) = db.execute(sql, [PERSON, image_id]).fetchone()
    key = str(uuid.uuid5(uuid.UUID(undone), "undo"))
    _append(db, uuid=key, image_id=image_id, kind="undo", undoes=undone)


def _append(db: Database, **values: str | int) -> None:
    origin = {"person_id": person_id(db, PERSON), "source": "import", "via": "import", "created": utc_now()}
    db.table("labels").insert(origin | values, ignore=True)
