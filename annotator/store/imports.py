"""Labels that came with the images or out of a file: appended like any other, each of them once.

What folders say is said by a person called `import`; what a file says, by whom it names, else by `import` too.
"""

import json
import uuid
from collections.abc import Iterable
from typing import NamedTuple

from sqlite_utils import Database

from annotator.store.db import insert, utc_now
from annotator.store.project import person_id

PERSON = "import"


class FolderLabel(NamedTuple):
    """What the folders said of an image last."""

    class_id: int | None  # None: it was taken back by the import itself
    times: int  # how often they said something
    uuid: str


class FileLabel(NamedTuple):
    """What files let a person say of an image last; a label that somebody else took back counts as there."""

    class_id: int | None  # None: no label, or the person took it back
    times: int  # labels of the person on the image, whatever they came from


NOTHING = FolderLabel(None, 0, "")


def latest(db: Database, project: str, image_ids: Iterable[int]) -> dict[int, FolderLabel]:
    """Image id -> the last label out of folder names, known by its UUID: files have labels of the same person.

    A label that somebody else took back counts as there: it does not come again.
    """
    sql = f"""SELECT labels.image_id, labels.uuid, labels.class_id, classes.name, sha256, own.id IS NOT NULL
        FROM labels JOIN people ON people.id = labels.person_id AND people.name = ?
        JOIN images ON images.id = labels.image_id JOIN classes ON classes.id = labels.class_id
        LEFT JOIN labels AS own ON own.undoes = labels.uuid AND own.person_id = labels.person_id
        WHERE labels.kind = 'label' AND labels.image_id IN ({_listed(image_ids)}) ORDER BY labels.id"""
    found: dict[int, FolderLabel] = {}
    for image, key, class_id, name, sha256, is_undone in db.execute(sql, [PERSON]).fetchall():
        count = found.get(image, NOTHING).times
        if key == _folder_key(project, sha256, name, count):
            found[image] = FolderLabel(None if is_undone else class_id, count + 1, key)
    return found


def add(db: Database, project: str, image_id: int, class_id: int, before: int) -> None:
    """Append a label out of a folder's name, the one after `before` others, once. Call inside `write`.

    Its UUID follows from the project, the image's content, the class and that number.
    """
    names = "SELECT sha256, name FROM images, classes WHERE images.id = ? AND classes.id = ?"
    sha256, name = db.execute(names, [image_id, class_id]).fetchone()
    key = _folder_key(project, sha256, name, before)
    _append(db, PERSON, uuid=key, image_id=image_id, kind="label", class_id=class_id)
    db.execute("DELETE FROM queue WHERE image_id = ?", [image_id])


def take_back(db: Database, image_id: int, undone: str) -> None:
    """Undo a label out of a folder's name. Call inside `write`."""
    key = str(uuid.uuid5(uuid.UUID(undone), "undo"))
    _append(db, PERSON, uuid=key, image_id=image_id, kind="undo", undoes=undone)


def _folder_key(project: str, sha256: str, class_name: str, before: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{project}/{sha256}/{class_name}/{before}"))


def by_people(db: Database, image_ids: Iterable[int]) -> dict[int, tuple[str, str, int | None]]:
    """Image id -> (person, kind, class id) of the newest answer that a person gave, and no file; skips say nothing."""
    sql = f"""SELECT image_id, people.name, kind, class_id FROM answers JOIN people ON people.id = person_id
        WHERE image_id IN ({_listed(image_ids)}) AND source <> 'import' AND kind <> 'skip' ORDER BY answers.id"""
    return {image: (person, kind, class_id) for image, person, kind, class_id in db.execute(sql).fetchall()}


def by_files(db: Database, image_ids: Iterable[int]) -> dict[tuple[int, str], FileLabel]:
    """(image id, person) -> what files let that person say last."""
    sql = f"""SELECT labels.image_id, people.name, iif(own.id IS NULL, labels.class_id, NULL), labels.source
        FROM labels JOIN people ON people.id = labels.person_id
        LEFT JOIN labels AS own ON own.undoes = labels.uuid AND own.person_id = labels.person_id
        WHERE labels.kind = 'label' AND labels.image_id IN ({_listed(image_ids)}) ORDER BY labels.id"""
    found: dict[tuple[int, str], FileLabel] = {}
    for image, person, class_id, source in db.execute(sql).fetchall():
        before = found.get((image, person), FileLabel(None, 0))
        found[image, person] = FileLabel(class_id if source == "import" else before.class_id, before.times + 1)
    return found


def say(db: Database, key: Iterable[str | int], image_id: int, class_id: int, person: str) -> None:
    """Append a label out of a file, once: its UUID follows from the key. Call inside `write`."""
    name = json.dumps(list(key))
    key_of_row = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    _append(db, person, uuid=key_of_row, image_id=image_id, kind="label", class_id=class_id)
    db.execute("DELETE FROM queue WHERE image_id = ?", [image_id])


def _append(db: Database, person: str, **values: str | int) -> None:
    row = {"person_id": person_id(db, person), "source": "import", "via": "import", "created": utc_now()} | values
    insert(db, "labels", row, once=True)


def _listed(ids: Iterable[int]) -> str:
    return ",".join(str(int(image_id)) for image_id in ids)
