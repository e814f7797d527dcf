"""A project whose class names and file names are as hostile as they get, and the names for it."""

import csv
import json
import os
import time
import uuid
from contextlib import contextmanager

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from annotator.export import FORMATS, ImageFolderSettings, imagefolder
from annotator.export import csv as csv_format
from annotator.export.filters import EVERY_LABEL
from annotator.export.running import run
from annotator.importing.folder import scan
from annotator.originals import printable
from annotator.store import db as store
from annotator.store import labels, project
from annotator.store.labels import Answer

CLASSES = [
    "cat",
    "../x",
    "CON",
    "\U0001f408",
    "<img src=x onerror=alert(1)>",
    "a/b",
    "a\\b",
    ".hidden",
    "Cat",
]
CLASSES += ['comma, "quote"', "two\nlines", "=1+1", "classes.json", "x" * 300, "..", " ", "nul.txt", "café"]


class Place:
    """A folder of photos with hostile class names."""

    def __init__(self, root, names):
        self.root, self.photos, self.instance = root, root / "photos", root / "instance"
        for number, name in enumerate(names):
            path = self.photos / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((3, 3, 3), number, np.uint8)).save(path, "PNG")
        self.db = store.prepare(self.instance / store.FILE)
        facts = {"seed": 1, "audit_share": 0.0, "labels_from_folders": False, "image_size": 3}
        with store.write(self.db):
            project.create(self.db, "photos", folder=str(self.photos), **facts)
            for name in CLASSES:
                self.db["classes"].insert({"name": name, "key": ""})
            self.person = project.person_id(self.db, "local")
        scan(self.instance, lambda done, total: None, lambda: False)
        self.classes = {row["name"]: row["id"] for row in project.classes(self.db)}

    def image(self, name):
        return self.db.execute("SELECT image_id FROM files WHERE name = ?", [name]).fetchone()[0]

    def answer(self, name, class_name=None, kind="label", **values):
        values = {"uuid": uuid.uuid4().hex, "person_id": self.person} | values
        class_id = self.classes[class_name] if class_name else None
        with store.write(self.db):
            labels.add(
                self.db,
                Answer(image_id=self.image(name), kind=kind, class_id=class_id, **values),
                "",
                time.time(),
            )

    def csv(self):
        report = csv_format.export(self.instance, self.db, self.root / "labels.csv")
        with (self.root / "labels.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert report.written == len(rows)
        return rows

    def export(self, name, out="out", filters=EVERY_LABEL, with_manifest=False, **settings):
        """What `annotator export` does."""
        settings = FORMATS[name].settings(**settings)
        return run(self.instance, self.db, name, self.root / out, settings, filters, with_manifest=with_manifest)

    def folders(self, out="out", **settings):
        return imagefolder.export(self.instance, self.db, self.root / out, ImageFolderSettings(**settings))

    def exported(self, out="out"):
        """Class name -> contents of the files in its folder."""
        names = json.loads((self.root / out / "classes.json").read_text("utf-8"))
        return {
            names[folder.name]: sorted(file.read_bytes() for file in folder.iterdir())
            for folder in (self.root / out).iterdir()
            if folder.is_dir()
        }

    def rename(self, class_names, file_names):
        """The first classes and the files get these names, as a stranger's store may have them."""
        with store.write(self.db):
            for class_id in self.classes.values():
                self.db["classes"].update(class_id, {"name": f"of {uuid.uuid4()}"})
            for class_id, name in zip(self.classes.values(), class_names, strict=False):
                self.db["classes"].update(class_id, {"name": name})
            for number, name in enumerate(file_names, 1):
                self.db["files"].update(number, {"name": name})

    def truth(self):
        """(name of the file, class, content) of every labeled file."""
        sql = """SELECT files.name, classes.name, files.path FROM current JOIN files USING (image_id)
            JOIN classes ON classes.id = class_id"""
        return [
            (name, class_name, (self.photos / os.fsdecode(path)).read_bytes())
            for name, class_name, path in self.db.execute(sql)
        ]


@contextmanager
def opening(root):
    """A function that makes a place there."""
    opened = []

    def place(*names):
        opened.append(Place(root, names))
        return opened[-1]

    yield place
    for made in opened:
        made.db.close()


def everything(folder):
    return {path.relative_to(folder) for path in folder.rglob("*")}


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
HOSTILE = st.sampled_from([
    *CLASSES, "../../x", "/etc/x", "CON.png", "a, \"b\".png",
    "two\nlines.png", "\u05d0\u202egnp.exe", "\u2028", "a.b", ".png", "-rf", "NA", "2020-01-01", "001", "train",
    "a b.jpg", "A B.jpg", "x.png", "x.jpg", "#", "%2e%2e%2fx", "\\\\host\\x",
]) | _TEXT  # fmt: skip


@st.composite
def names(draw, size):
    """(class names, file names): as many as `size`, the classes distinct; a store keeps file names printable."""
    classes = draw(st.lists(HOSTILE, min_size=size, max_size=size, unique=True))
    files = draw(st.lists(HOSTILE, min_size=size, max_size=size))
    return classes, [printable(name.encode()) for name in files]
