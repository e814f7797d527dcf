"""What leaves the project: exact, complete, and nowhere but in the target."""

import hashlib
import json
import os
import shutil
from collections import Counter

import pytest
from places import CLASSES, everything, opening

from annotator.errors import AnnotatorError
from annotator.export import FORMATS, folders
from annotator.export import csv as csv_format
from annotator.importing.folder import scan
from annotator.originals import from_printable
from annotator.store import db as store
from annotator.store import project


@pytest.fixture
def make(tmp_path):
    with opening(tmp_path) as place:
        yield place


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_loaded(name):
    assert callable(FORMATS[name].load())
    assert FORMATS[name].summary


def test_the_csv_holds_the_whole_row(make):
    place = make("a.png")
    image = place.image("a.png")
    place.db.execute(
        "INSERT INTO queue (image_id, source, round, strategy, score, probability, rank)"
        " VALUES (?, 'query', 3, 'margin', 0.1, 1e-17, 0)",
        [image],
    )
    place.answer(
        "a.png", "cat", uuid="u-1", via="accepted", seconds=1.25, model=2,
        suggested_id=place.classes["Cat"], suggestion_shown=True,
    )  # fmt: skip
    (row,) = place.csv()
    created = row.pop("created")
    assert created == place.db.execute("SELECT created FROM labels").fetchone()[0]
    assert row == {
        "path": "a.png", "image": str(image), "class": "cat", "person": "local", "status": "label",
        "sha256": hashlib.sha256((place.photos / "a.png").read_bytes()).hexdigest(),
        "round": "3", "source": "query", "strategy": "margin", "score": "0.1", "probability": "1e-17",
        "model": "2", "suggested": "Cat", "suggestion_shown": "1", "via": "accepted", "seconds": "1.25",
        "uuid": "u-1",
    }  # fmt: skip


def test_names_survive_the_csv_exactly(make):
    names = [f'{number}, "q" \'=1+1 \U0001f408\n.png' for number in range(len(CLASSES))]
    place = make(*names)
    for name, class_name in zip(names, CLASSES, strict=True):
        place.answer(name.replace("\n", "\\u000a"), class_name)
    assert {from_printable(row["path"]).decode(): row["class"] for row in place.csv()} == dict(
        zip(names, CLASSES, strict=True)
    )


def test_the_csv_is_rfc_4180(make):
    place = make("a.png", "b.png")
    place.answer("a.png", 'comma, "quote"')
    place.csv()
    data = (place.root / "labels.csv").read_bytes()
    assert data.count(b"\r\n") == 2
    assert b',"comma, ""quote""",' in data


def test_only_current_labels_are_exported_and_by_path(make):
    place = make("d.png", "c.png", "b.png", "a.png", "e.png", "f.png")
    place.answer("a.png", "cat")
    place.answer("a.png", "Cat")  # a correction
    place.answer("b.png", kind="skip")
    place.answer("c.png", kind="flag")
    place.answer("d.png", "cat", uuid="oops")
    place.answer("d.png", kind="undo", undoes="oops")
    place.answer("e.png", "cat")
    assert [(row["path"], row["class"]) for row in place.csv()] == [("a.png", "Cat"), ("e.png", "cat")]
    place.folders()
    assert {name: len(files) for name, files in place.exported().items()} == {"cat": 1, "Cat": 1}


def test_the_row_of_a_majority_is_by_somebody_of_the_majority(make):
    place = make("a.png")
    with store.write(place.db):
        people = [project.person_id(place.db, name) for name in ("ann", "bob", "carl")]
    for person, class_name in zip(people, ("cat", "cat", "Cat"), strict=True):
        place.answer("a.png", class_name, person_id=person)
    assert [(row["class"], row["person"]) for row in place.csv()] == [("cat", "bob")]


def test_every_path_of_an_image_is_exported(make):
    place = make("a.png")
    for name in ("b.png", "sub/a.png"):
        (place.photos / name).parent.mkdir(exist_ok=True)
        shutil.copy(place.photos / "a.png", place.photos / name)
    scan(place.instance, lambda done, total: None, lambda: False)
    place.answer("a.png", "cat")
    assert [row["path"] for row in place.csv()] == ["a.png", "b.png", "sub/a.png"]
    assert place.folders().written == 3
    assert {path.name for path in (place.root / "out/cat").iterdir()} == {"a.png", "a-2.png", "b.png"}


def test_a_moved_file_is_exported_where_it_is_now(make):
    place = make("a.png", "b.png")
    place.answer("a.png", "cat")
    (place.photos / "a.png").rename(place.photos / "c.png")
    scan(place.instance, lambda done, total: None, lambda: False)
    assert [row["path"] for row in place.csv()] == ["c.png"]


def test_a_label_outlives_its_file_in_the_csv_only(make):
    place = make("a.png", "b.png")
    place.answer("a.png", "cat")
    (place.photos / "a.png").unlink()
    scan(place.instance, lambda done, total: None, lambda: False)
    assert [row["path"] for row in place.csv()] == ["a.png"]
    report = place.folders()
    assert report.written == 0
    assert [name for name, _ in report.skipped] == ["a.png"]


def test_the_csv_replaces_an_older_one_and_leaves_nothing_beside_it(make):
    place = make("a.png")
    place.csv()
    place.answer("a.png", "cat")
    assert len(place.csv()) == 1
    assert {path.name for path in place.root.iterdir()} == {"photos", "instance", "labels.csv"}


def test_a_csv_that_cannot_be_written_says_so(make):
    place = make("a.png")
    (place.root / "dir").mkdir()
    with pytest.raises(AnnotatorError, match="cannot write"):
        csv_format.export(place.instance, place.db, place.root / "dir")
    assert {path.name for path in place.root.iterdir()} == {"photos", "instance", "dir"}


@pytest.mark.parametrize("links", [False, True])
def test_originals_land_in_the_folder_of_their_class(make, links):
    names = [f"{number}.png" for number in range(len(CLASSES))]
    place = make(*names)
    before = everything(place.root)
    for name, class_name in zip(names, CLASSES, strict=True):
        place.answer(name, class_name)
    report = place.folders(links=links)
    originals = {name: [(place.photos / file).read_bytes()] for name, file in zip(CLASSES, names, strict=True)}
    assert place.exported() == originals
    assert (report.written, report.skipped) == (len(names), [])
    added = {path.parts[0] for path in everything(place.root) - before}
    assert {part for part in added if not part.startswith("instance")} == {"out"}


def test_links_share_the_original_and_copies_do_not(make):
    place = make("a.png")
    place.answer("a.png", "cat")
    place.folders("copies")
    place.folders("links", links=True)
    original = place.photos / "a.png"
    assert original.samefile(place.root / "links/cat/a.png")
    assert not original.samefile(place.root / "copies/cat/a.png")


def test_stored_paths_are_checked_again(make):
    """A store from a stranger must not make an export read other files (CVE-2025-25295)."""
    place = make("a.png", "b.png", "c.png", "d.png")
    secret = place.root / "secret.png"
    shutil.copy(place.photos / "a.png", secret)
    for name in ("a.png", "b.png", "c.png", "d.png"):
        place.answer(name, "cat")
    place.db.execute("UPDATE files SET path = ? WHERE name = 'a.png'", [b"../secret.png"])
    (place.photos / "b.png").unlink()
    (place.photos / "b.png").symlink_to(secret)
    (place.photos / "c.png").write_bytes(b"something else")
    report = place.folders()
    assert report.written == 1
    reasons = dict(report.skipped)
    assert "not a path inside" in reasons["a.png"]
    assert "leads out" in reasons["b.png"]
    assert "changed" in reasons["c.png"]
    assert everything(place.root / "out/cat") == {(place.photos / "d.png").relative_to(place.photos)}


@pytest.mark.parametrize("target", ["full", "file", "photos", "photos/out", "link/out"])
def test_a_target_that_will_not_do_is_refused(make, target):
    place = make("a.png")
    (place.root / "full").mkdir()
    (place.root / "full/old").touch()
    (place.root / "file").touch()
    (place.root / "link").symlink_to(place.photos)
    before = everything(place.root)
    with pytest.raises(AnnotatorError, match="choose"):
        place.folders(target)
    assert everything(place.root) == before


@pytest.mark.parametrize("target", ["new", "new/deep", "empty"])
def test_new_and_empty_targets_do(make, target):
    place = make("a.png")
    (place.root / "empty").mkdir()
    place.answer("a.png", "cat")
    place.folders(target)
    assert (place.root / target / "cat/a.png").exists()
    umask = os.umask(0)
    os.umask(umask)
    assert (place.root / target).stat().st_mode & 0o777 == 0o777 & ~umask


def test_an_export_that_fails_leaves_nothing(make, monkeypatch):
    place = make("a.png")
    place.answer("a.png", "cat")
    before = {path.name for path in place.root.iterdir()}

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(AnnotatorError, match="No space left"):
        place.folders()
    assert {path.name for path in place.root.iterdir()} == before


def test_torchvision_reads_what_was_exported(make):
    datasets = pytest.importorskip("torchvision.datasets")
    place = make("a.png", "b.png", "c.png")
    for name, class_name in (("a.png", "cat"), ("b.png", "../x"), ("c.png", "cat")):
        place.answer(name, class_name)
    place.folders()
    found = datasets.ImageFolder(place.root / "out")
    names = json.loads((place.root / "out/classes.json").read_text("utf-8"))
    assert Counter(names[found.classes[target]] for target in found.targets) == {"cat": 2, "../x": 1}


def test_names_of_files_are_safe_and_keep_their_suffix(make):
    long = "é" * 120 + ".png"
    names = [
        "a:b?.PNG",
        "CON.png",
        "nul.tar.png",
        "a\nb.png",
        long,
        "x/a.png",
        "y/A.png",
        "z/a-2.png",
        "noext",
    ]
    place = make(*names)
    for row in list(place.db.query("SELECT name FROM files")):
        place.answer(row["name"], "cat")
    assert place.folders().written == len(names)
    written = [path.name for path in (place.root / "out/cat").iterdir()]
    assert len({name.casefold() for name in written}) == len(names)
    assert sum(name.casefold().endswith(".png") for name in written) == len(names) - 1
    assert {"a_b_.PNG", "_CON.png", "noext"} <= set(written)


def test_nothing_is_written_outside_of_the_target(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out-side").mkdir()
    (tmp_path / "out/link").symlink_to(tmp_path / "out-side")
    for names in (("..", "out-side", "a"), ("../out-side/a",), ("/etc/a",), ("link", "a")):
        with pytest.raises(AnnotatorError, match="outside"):
            folders.contained(tmp_path / "out", *names)
    assert folders.contained(tmp_path / "out", "cat", "a.png") == tmp_path / "out/cat/a.png"
