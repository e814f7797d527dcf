"""The folder as it comes: hostile names, broken files, moves, kills."""

import errno
import hashlib
import inspect
import os
import shutil
import socket
import sqlite3
import sys
import uuid

import numpy as np
import pytest
from PIL import Image

from annotator import images
from annotator.errors import AnnotatorError
from annotator.importing import IMAGES, folder
from annotator.importing.folder import scan, shuffle_value
from annotator.importing.labels import import_labels
from annotator.importing.rows import Asked
from annotator.importing.taking import Wish
from annotator.importing.walk import walk
from annotator.originals import digest, from_printable
from annotator.store import db as store
from annotator.store import images as image_store
from annotator.store import project

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\..*")

SIDE = 4
_seed = iter(range(10**6))


def picture(path, content=None):
    """A new PNG of random colours; its pixels."""
    pixels = np.random.default_rng(next(_seed)).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels if content is None else content).save(path, "PNG")
    return pixels


class Place:
    """A folder of photos and an instance that imports it."""

    def __init__(self, root, classes=(), **facts):
        self.photos, self.instance = root / "photos", root / "instance"
        self.photos.mkdir()
        self.db = store.prepare(self.instance / store.FILE)
        facts = {"seed": 1, "audit_share": 0.0, "labels_from_folders": False, "flip": True} | facts
        with store.write(self.db):
            project.create(self.db, "photos", folder=str(self.photos), image_size=SIDE, **facts)
            project.add_classes(self.db, list(classes))

    def scan(self, report=lambda done, total: None, stop=lambda: False):
        return scan(self.instance, report, stop)

    def all(self, sql):
        return self.db.execute(sql).fetchall()

    def images(self):
        """File name -> image id."""
        return dict(self.all("SELECT name, image_id FROM files WHERE NOT missing AND image_id IS NOT NULL"))

    def problems(self):
        return {row["name"]: row["reason"] for row in image_store.set_aside(self.db)}

    def labels(self):
        """File name -> class name, of every label ever imported."""
        sql = """SELECT files.name, classes.name FROM labels JOIN classes ON classes.id = class_id
            JOIN files USING (image_id) WHERE NOT missing ORDER BY labels.id"""
        return self.all(sql)

    def pixels(self):
        """File name -> training pixels."""
        rows = np.fromfile(image_store.pixel_file(self.instance, SIDE), np.uint8).reshape(-1, SIDE, SIDE, 3)
        places = dict(self.all("SELECT id, row FROM images WHERE row IS NOT NULL"))
        return {name: rows[places[image]] for name, image in self.images().items()}


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.db.close()


@pytest.fixture
def labeling(tmp_path):
    """Like `place`, with labels from folder names."""
    opened = []

    def make(*classes):
        opened.append(Place(tmp_path, classes, labels_from_folders=True))
        return opened[-1]

    yield make
    for made in opened:
        made.db.close()


def test_every_source_can_be_loaded():
    assert all(callable(row.load()) and row.summary for row in IMAGES.values())


def test_images_at_any_depth_become_rows_of_pixels(place):
    expected = {name: picture(place.photos / name) for name in ("a.png", "b/c.png", "b/d/e.png", "no suffix")}
    assert place.scan() == folder.Counts(files=4, images=4, new=4)
    assert place.pixels().keys() == expected.keys()
    assert all((pixels == expected[name]).all() for name, pixels in place.pixels().items())


def test_size_and_hash_are_those_of_the_original(place):
    image, exif = Image.new("RGB", (90, 60), "red"), Image.Exif()
    exif[0x0112] = 6
    image.save(place.photos / "a.jpg", exif=exif)
    place.scan()
    digest = hashlib.sha256((place.photos / "a.jpg").read_bytes()).hexdigest()
    assert place.all("SELECT sha256, width, height FROM images") == [(digest, 60, 90)]


def test_the_same_content_is_one_image_with_several_files(place, monkeypatch):
    monkeypatch.setattr(folder, "BATCH_FILES", 1)
    picture(place.photos / "a.png")
    shutil.copy(place.photos / "a.png", place.photos / "b.png")
    assert place.scan().images == 1
    assert len(place.images()) == 2
    assert len(set(place.images().values())) == 1


def test_doubles_leave_no_holes_among_the_pixels(place, monkeypatch):
    monkeypatch.setattr(folder, "BATCH_FILES", 1)
    picture(place.photos / "0.png")
    for number in range(1, 6):
        shutil.copy(place.photos / "0.png", place.photos / f"{number}.png")
        picture(place.photos / f"other {number}.png")
    place.scan()
    assert place.all("SELECT row FROM images ORDER BY row") == [(row,) for row in range(6)]


def test_hidden_files_clutter_and_the_instance_itself_are_passed_over(tmp_path):
    photos = tmp_path / "photos"
    for name in (".a.png", ".git/b.png", "Thumbs.db", "__MACOSX/c.png", "instance/cache/d.png", "e.png"):
        picture(photos / name)
    found = [entry.path for entry in walk(photos, skip=(photos / "instance").resolve())]
    assert found == [b"e.png"]


def test_folders_nested_deeper_than_the_stack_are_walked(place):
    picture(place.photos.joinpath(*["d"] * 200, "a.png"))
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        found = list(walk(place.photos, skip=place.instance))
    finally:
        sys.setrecursionlimit(before)
    assert len(found) == 1


HOSTILE = [b"\xff\xfe.png", b"new\nline.png", b"quo\"te',.png", b"\\x.png", b"<img onerror=x>.png"]
HOSTILE += [
    b"e" * 251 + b".png",
    "\U0001f468\u200d\U0001f469\u202e.png".encode(),
    b"-rf *.png",
    b" .png",
    b"CON",
]


def test_hostile_names_are_imported_and_shown_reversibly(place):
    for name in HOSTILE:
        picture(place.photos / os.fsdecode(name))
    place.scan()
    rows = place.all("SELECT path, name FROM files WHERE problem IS NULL")
    assert sorted(path for path, _ in rows) == sorted(HOSTILE)
    assert all(from_printable(name) == path and "\n" not in name for path, name in rows)
    for _, name in rows:
        name.encode()  # text that any file and any browser takes


def test_broken_files_are_listed_with_the_reason_and_stop_nothing(place):
    picture(place.photos / "good.png")
    (place.photos / "empty.jpg").write_bytes(b"")
    (place.photos / "notes.txt").write_text("milk, bread")
    (place.photos / "drawing.svg").write_text("<svg/>")
    (place.photos / "cut.png").write_bytes((place.photos / "good.png").read_bytes()[:60])
    os.mkfifo(place.photos / "pipe.png")
    (place.photos / "nowhere.png").symlink_to("nothing.png")
    counts = place.scan()
    assert (counts.images, counts.aside) == (1, 6)
    assert place.images().keys() == {"good.png"}
    assert "empty" in place.problems()["empty.jpg"]
    assert "SVG" in place.problems()["drawing.svg"]
    assert place.problems()["pipe.png"] == "not a regular file"
    assert "No such file" in place.problems()["nowhere.png"]


def test_links_that_leave_the_folder_are_refused_and_others_followed(place):
    outside = place.photos.parent / "photos-secret"  # starts like the folder's own name
    picture(outside / "a.png")
    picture(place.photos / "in/b.png")
    links = {"x.png": outside / "a.png", "dir": outside, "y.png": "in/b.png", "loop": ".", "again": "in"}
    for name, target in links.items():
        (place.photos / name).symlink_to(target)
    place.scan()
    assert place.images().keys() == {"in/b.png", "y.png"}
    assert place.problems().keys() == {"x.png", "dir"}
    assert all("leads out" in reason for reason in place.problems().values())


def test_files_that_cannot_be_read_are_listed_and_read_again_later(place, monkeypatch):
    picture(place.photos / "a.png")
    real = os.open

    def refuse(path, *args, **kwargs):
        if os.fsencode(path).endswith(b"a.png"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        place.scan()
    assert place.problems() == {"a.png": "cannot be read: Permission denied"}
    assert place.scan().images == 1
    assert not place.problems()


def test_an_image_that_cannot_be_read_for_a_while_keeps_its_identity(place):
    picture(place.photos / "a.png")
    place.scan()
    before = place.images()
    (place.photos / "a.png").rename(place.photos.parent / "b.png")
    (place.photos / "a.png").symlink_to("gone.png")
    assert place.scan().images == 0
    assert place.all("SELECT image_id, missing FROM files") == [(before["a.png"], 1)]
    (place.photos.parent / "b.png").replace(place.photos / "a.png")
    assert place.scan().new == 0
    assert place.images() == before


def test_a_file_that_changes_while_it_is_read_is_read_again_later(place, monkeypatch):
    picture(place.photos / "a.png")

    def late(file):
        os.utime(place.photos / "a.png", ns=(1, 1))
        return digest(file)

    with monkeypatch.context() as patched:
        patched.setattr("annotator.importing.reading.digest", late)
        assert place.scan().images == 0
    assert place.problems() == {"a.png": "it changed while it was read"}
    assert place.scan().images == 1


def test_known_content_is_not_decoded_again(place, monkeypatch):
    picture(place.photos / "a.png")
    place.scan()
    shutil.copy(place.photos / "a.png", place.photos / "b.png")
    monkeypatch.setattr(images, "read_training", None)  # whoever decodes, fails
    place.scan()
    assert len(place.images()) == 2


def test_a_stopped_import_declares_nothing_missing(place):
    picture(place.photos / "a.png")
    place.scan()
    assert not place.scan(stop=lambda: True).complete
    assert place.images().keys() == {"a.png"}


def test_unchanged_files_are_not_opened_again(place, monkeypatch):
    picture(place.photos / "a.png")
    (place.photos / "notes.txt").write_text("no image")
    first = place.scan()
    monkeypatch.setattr("annotator.importing.reading.open_original", None)  # whoever opens, fails
    again = place.scan()
    assert (again.images, again.aside, again.new) == (first.images, first.aside, 0)


def test_a_moved_image_keeps_its_identity(place):
    picture(place.photos / "a.png")
    place.scan()
    before = place.images()["a.png"]
    (place.photos / "sub").mkdir()
    (place.photos / "a.png").rename(place.photos / "sub/b.png")
    assert place.scan().new == 0
    assert place.images() == {"sub/b.png": before}
    assert not place.problems()


def test_a_vanished_image_is_set_aside_and_found_again(place):
    picture(place.photos / "a.png")
    picture(place.photos / "b.png")
    place.scan()
    before = place.images()
    (place.photos / "a.png").rename(place.photos / ".a.png")
    assert place.scan().images == 1
    assert place.problems() == {"a.png": image_store.MISSING}
    (place.photos / ".a.png").rename(place.photos / "a.png")
    assert place.scan().images == 2
    assert place.images() == before


def test_changed_content_is_another_image(place):
    picture(place.photos / "a.png")
    place.scan()
    before = place.images()["a.png"]
    pixels = picture(place.photos / "a.png")
    os.utime(place.photos / "a.png", ns=(1, 1))
    place.scan()
    assert place.images()["a.png"] != before
    assert (place.pixels()["a.png"] == pixels).all()
    assert place.all(f"SELECT aside FROM images WHERE id = {before}") == [(image_store.MISSING,)]


def test_an_image_that_vanished_leaves_the_queue(place):
    picture(place.photos / "a.png")
    picture(place.photos / "b.png")
    place.scan()
    image = place.images()["a.png"]
    place.db.execute("INSERT INTO queue (image_id, source, round, rank) VALUES (?, 'query', 1, 0)", [image])
    (place.photos / "a.png").unlink()
    place.scan()
    assert place.all("SELECT * FROM queue") == []


def test_an_answered_image_still_trains_after_its_file_is_gone(labeling):
    place = labeling("cat")
    for name in ("cat/a.png", "b.png", "c.png"):
        picture(place.photos / name)
    place.scan()
    before = place.images()
    (place.photos / "cat/a.png").unlink()
    (place.photos / "b.png").unlink()
    place.scan()
    rows = image_store.training_rows(place.db, audit=False)
    assert {image for image, _ in rows} == {before["cat/a.png"], before["c.png"]}


def test_an_empty_folder_where_images_were_is_an_error(place):
    picture(place.photos / "a.png")
    place.scan()
    shutil.rmtree(place.photos)
    with pytest.raises(AnnotatorError, match="cannot be read"):
        place.scan()
    place.photos.mkdir()
    with pytest.raises(AnnotatorError, match="is the drive connected"):
        place.scan()
    assert place.images()


class Killed(BaseException):
    """As kill -9: nothing after it runs."""


def test_a_kill_between_pixels_and_rows_loses_nothing(place, monkeypatch):
    kept = picture(place.photos / "a.png")
    place.scan()
    more = {name: picture(place.photos / name) for name in ("b.png", "c.png")}

    def die(*args):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(image_store, "add", die)
        with pytest.raises(Killed):
            place.scan()
    with image_store.pixel_file(place.instance, SIDE).open("ab") as file:
        file.write(b"torn")
    assert place.scan().new == 2
    assert place.all("SELECT row FROM images ORDER BY row") == [(0,), (1,), (2,)]
    assert all((place.pixels()[name] == pixels).all() for name, pixels in {"a.png": kept, **more}.items())


def test_a_lost_pixel_file_is_made_anew_and_images_keep_their_ids(place):
    expected = {name: picture(place.photos / name) for name in ("a.png", "b.png")}
    place.scan()
    before = place.images()
    image_store.pixel_file(place.instance, SIDE).unlink()
    place.scan()
    assert place.images() == before
    assert all((place.pixels()[name] == pixels).all() for name, pixels in expected.items())


def test_labelling_can_start_while_the_import_runs_and_a_stopped_one_goes_on(place, monkeypatch):
    monkeypatch.setattr(folder, "BATCH_FILES", 3)
    for number in range(10):
        picture(place.photos / f"{number}.png")
    seen = []

    def report(done, total):
        seen.append((done, total, place.all("SELECT count(*) FROM images")[0][0]))

    counts = place.scan(report, stop=lambda: bool(seen) and seen[-1][0] >= 3)
    assert seen[:2] == [(0, 10, 0), (3, 10, 3)]
    assert not counts.complete
    assert place.scan().images == 10


def test_the_order_is_always_the_same_and_mixes_folders(tmp_path):
    orders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        place = Place(tmp_path / name)
        for number in range(40):
            color = (number, 0, 0)
            image = np.full((SIDE, SIDE, 3), color, np.uint8)
            picture(place.photos / f"{number // 20}" / f"{number}.png", image)
        place.scan()
        orders.append([name for (name,) in place.all("SELECT name FROM files ORDER BY image_id")])
        place.db.close()
    assert orders[0] == orders[1]
    assert 4 <= sum(name.startswith("0/") for name in orders[0][:20]) <= 16


def test_two_imports_of_one_instance_do_not_run_at_once(place):
    (place.instance / "cache").mkdir()
    with sqlite3.connect(place.instance / "cache/import.lock", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(AnnotatorError, match="another import"):
            place.scan()
        other.execute("ROLLBACK")
    other.close()
    place.scan()


def test_shuffle_is_uniform_and_depends_on_seed_and_content_only():
    values = np.array([shuffle_value(3, str(n)) for n in range(4000)])
    assert abs(np.histogram(values, 4, (0, 1))[0] - 1000).max() < 120
    assert shuffle_value(3, "a") == shuffle_value(3, "a") != shuffle_value(4, "a")


def test_the_audit_is_the_smallest_shuffle_values_and_never_grows_into_the_pool(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "AUDIT_LIMIT", 5)
    place = Place(tmp_path, audit_share=0.5)
    for number in range(30):
        picture(place.photos / f"{number}.png")
    place.scan()
    smallest = place.all("SELECT id FROM images ORDER BY shuffle LIMIT 5")
    assert sorted(place.all("SELECT id FROM images WHERE audit = 1")) == sorted(smallest)
    pool = set(place.all("SELECT id FROM images WHERE audit = 0"))
    for number in range(30, 60):
        picture(place.photos / f"{number}.png")
    place.scan()
    assert len(place.all("SELECT id FROM images WHERE audit = 1")) == 5
    assert not pool & set(place.all("SELECT id FROM images WHERE audit = 1"))
    place.db.close()


def test_answered_images_stay_in_the_audit(tmp_path, monkeypatch):
    place = Place(tmp_path, ("cat",), audit_share=1.0, labels_from_folders=True)
    for name in ("cat/a.png", "b.png", "c.png"):
        picture(place.photos / name)
    monkeypatch.setattr(folder, "AUDIT_LIMIT", 1)
    answered = hashlib.sha256((place.photos / "cat/a.png").read_bytes()).hexdigest()
    monkeypatch.setattr(folder, "shuffle_value", lambda seed, content: 0.9 if content == answered else 0.1)
    place.scan()
    assert place.all("SELECT name FROM files JOIN images ON images.id = image_id WHERE audit") == [("cat/a.png",)]
    place.db.close()


def test_folder_names_become_classes_and_labels_once(labeling):
    place = labeling()
    for name in ("cat/a.png", "cat/dog/b.png", "dog/c.png", "d.png"):
        picture(place.photos / name)
    assert place.scan().labels == 3
    assert [row["name"] for row in project.classes(place.db)] == ["cat", "dog"]
    labels = place.all("SELECT uuid FROM labels")
    assert sorted(place.labels()) == [("cat/a.png", "cat"), ("cat/dog/b.png", "cat"), ("dog/c.png", "dog")]
    assert place.scan().labels == 0
    assert place.all("SELECT uuid FROM labels") == labels
    assert place.scan().notes == (".: 1 without a label, no such class",)


def test_an_imported_label_has_the_same_uuid_on_every_machine(labeling):
    place = labeling("cat")
    picture(place.photos / "cat/a.png")
    place.scan()
    digest = hashlib.sha256((place.photos / "cat/a.png").read_bytes()).hexdigest()
    name = f"{project.facts(place.db)['id']}/{digest}/cat/0"
    assert place.all("SELECT uuid FROM labels") == [(str(uuid.uuid5(uuid.NAMESPACE_OID, name)),)]


def test_given_classes_are_looked_for_in_every_folder_above(labeling):
    place = labeling("cat", "café")
    for name in ("train/cat/2021/a.png", "cafe\u0301/b.png", "misc/c.png", "misc/d.png"):
        picture(place.photos / name)
    counts = place.scan()
    assert sorted(place.labels()) == [("cafe\u0301/b.png", "café"), ("train/cat/2021/a.png", "cat")]
    assert [row["name"] for row in project.classes(place.db)] == ["cat", "café"]
    assert counts.notes == ("misc: 2 without a label, no such class",)
    assert project.facts(place.db)["import_notes"] == list(counts.notes)


def test_an_image_moved_to_another_class_is_labeled_again_and_back(labeling):
    place = labeling("cat", "dog")
    picture(place.photos / "cat/a.png")
    place.scan()
    (place.photos / "dog").mkdir()
    for source, target in (("cat", "dog"), ("dog", "cat")):
        (place.photos / source / "a.png").rename(place.photos / target / "a.png")
        place.scan()
    assert [name for _, name in place.labels()] == ["cat", "dog", "cat"]


@pytest.mark.parametrize("scans", [1, 2])
def test_one_image_in_folders_of_two_classes_has_no_label(labeling, scans):
    place = labeling("cat", "dog")
    picture(place.photos / "cat/a.png")
    if scans == 2:
        place.scan()
    shutil.copytree(place.photos / "cat", place.photos / "dog")
    assert place.scan().notes == ("cat/a.png: in folders of several classes, no label",)
    assert place.all("SELECT * FROM current") == []
    shutil.rmtree(place.photos / "dog")
    assert place.scan().notes == ()
    assert place.all("SELECT name FROM current JOIN classes ON id = class_id") == [("cat",)]


def test_an_imported_label_that_was_undone_does_not_come_back(labeling):
    place = labeling("cat")
    picture(place.photos / "cat/a.png")
    place.scan()
    place.db.execute(
        "INSERT INTO labels (uuid, image_id, kind, undoes, person_id, source, via, created)"
        " SELECT 'u', image_id, 'undo', uuid, ?, 'review', 'typed', '' FROM labels",
        [project.person_id(place.db, "alice")],
    )
    assert place.scan().labels == 0
    assert place.all("SELECT * FROM current") == []


def test_pixels_do_not_depend_on_the_order_or_company_of_files(place):
    Image.effect_noise((400, 300), 90).convert("RGB").save(place.photos / "a.jpg")
    for number in range(12):
        picture(place.photos / f"{number}.png")
    place.scan()
    alone, _ = images.read_training((place.photos / "a.jpg").read_bytes(), SIDE)
    assert (place.pixels()["a.jpg"] == alone).all()


def test_sockets_are_no_images(tmp_path):
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "s.png"))
        assert [entry.problem for entry in walk(tmp_path, skip=tmp_path / "x")] == ["not a regular file"]


def test_a_label_out_of_a_file_is_not_what_folders_said(labeling):
    place = labeling("cat", "dog")
    picture(place.photos / "cat/a.png")
    place.scan()
    (place.photos / "labels.csv").write_text("path,class\ncat/a.png,dog\n")
    import_labels(place.instance, place.photos / "labels.csv", Asked(), Wish(""))
    assert place.scan().labels == 0
    assert place.all("SELECT name FROM current JOIN classes ON id = class_id") == [("dog",)]
    (place.photos / "dog").mkdir()
    shutil.copy(place.photos / "cat/a.png", place.photos / "dog/a.png")
    place.scan()
    assert place.all("SELECT name FROM current JOIN classes ON id = class_id") == [("dog",)]
