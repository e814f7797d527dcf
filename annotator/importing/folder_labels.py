"""Classes and labels out of folder names.

Without classes of its own, the project gets one for each folder directly in its folder, as torchvision's
ImageFolder reads it: cat/2021/a.jpg is a cat. With classes given, the nearest folder above a file that has
the name of a class says what it shows: train/cat/2021/a.jpg is a cat too, and other folders label nothing.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from sqlite_utils import Database

from annotator.originals import printable
from annotator.store import files, imports
from annotator.store import project as project_store
from annotator.store.db import write

CHUNK = 500  # images per transaction


@dataclass
class FolderLabels:
    """The classes as folders name them, and what they say about images."""

    db: Database
    project: str
    classes: Mapping[str, int]  # name, normalized -> id; of renamed and merged ones too
    only_top: bool
    unlabeled: Counter[str] = field(default_factory=Counter)  # folder -> files that it gives no class
    torn: list[str] = field(default_factory=list)  # images that lie in folders of several classes

    @classmethod
    def of(cls, db: Database, paths: Iterable[bytes]) -> "FolderLabels":
        """For the files at these paths; makes the classes when the project was started without any."""
        facts = project_store.facts(db)
        only_top = facts.get("classes_from_folders", not project_store.class_names(db))
        if only_top:
            with write(db):
                project_store.put(db, classes_from_folders=True)
                project_store.add_classes(db, sorted({top for path in paths if (top := _top_folder(path))}))
        classes = {_normalized(name): class_id for name, class_id in project_store.class_names(db).items()}
        return cls(db, facts["id"], classes, only_top)

    def apply(self, image_ids: Collection[int]) -> int:
        """Label these images, as far as that is new; how many. Takes back what folders no longer agree on."""
        before = imports.latest(self.db, self.project, image_ids)
        said = [(image, now, before.get(image, imports.NOTHING)) for image, now in self._say(image_ids)]
        new = [(image, *now, last.times) for image, now, last in said if len(now) == 1 and {last.class_id} != now]
        torn = [(image, last.uuid) for image, now, last in said if len(now) > 1 and last.class_id is not None]
        if new or torn:
            with write(self.db):
                for image, class_id, count in new:
                    imports.add(self.db, self.project, image, class_id, count)
                for image, undone in torn:
                    imports.take_back(self.db, image, undone)
        return len(new)

    def apply_all(self, image_ids: Iterable[int]) -> int:
        """The same for any number of images, and `notes` are complete."""
        ordered = sorted(image_ids)
        self.unlabeled.clear()
        self.torn.clear()
        return sum(self.apply(ordered[start : start + CHUNK]) for start in range(0, len(ordered), CHUNK))

    def notes(self) -> list[str]:
        """What got no label, one line each."""
        no_class = (f"{folder}: {n} without a label, no such class" for folder, n in self.unlabeled.items())
        several = (f"{name}: in folders of several classes, no label" for name in self.torn)
        return [*sorted(no_class), *several]

    def _say(self, image_ids: Collection[int]) -> Iterator[tuple[int, set[int]]]:
        """(image id, class ids that its files' folders name)."""
        for image, found in groupby(files.present(self.db, image_ids), key=lambda row: row[0]):
            paths = [path for _, path in found]
            said = {class_id for path in paths if (class_id := self._class_of(path)) is not None}
            yield image, said
            if len(said) > 1:
                self.torn.append(printable(paths[0]))
            elif not said:
                self.unlabeled[printable(paths[0].rpartition(b"/")[0]) or "."] += 1

    def _class_of(self, path: bytes) -> int | None:
        folders = path.split(b"/")[:-1]
        asked = folders[:1] if self.only_top else reversed(folders)
        ids = (self.classes.get(_normalized(printable(folder))) for folder in asked)
        return next((class_id for class_id in ids if class_id is not None), None)


def _top_folder(path: bytes) -> str | None:
    """The name of the folder directly in the project's folder, as a class."""
    top, slash, _ = path.partition(b"/")
    return _normalized(printable(top)) if slash else None


def _normalized(name: str) -> str:
    """One spelling of composed letters: file systems and keyboards differ."""
    return unicodedata.normalize("NFC", name)
