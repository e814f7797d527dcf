"""Formats that are a folder: what is read back is what was labeled, whatever it is called."""

import csv
import io
import json
import os
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image
from places import CLASSES, everything, names, opening

from annotator.errors import AnnotatorError
from annotator.export import FORMATS, UltralyticsSettings, folders, ultralytics
from annotator.originals import from_printable
from annotator.store import files, project

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def by_class_folder(*parts):
    def read(root):
        named = json.loads((root / "classes.json").read_text("utf-8"))
        for part in parts:
            for path in (root / part).glob("*/*"):
                yield named[path.parent.name], path.read_bytes()

    return read


def huggingface(root):
    for line in (root / "train/metadata.jsonl").read_text().splitlines():
        item = json.loads(line)
        yield item["label"], (root / "train" / item["file_name"]).read_bytes()


def imagenet(root):
    """Read as the simplest script does."""
    classes = (root / "classes.txt").read_text("utf-8").split("\n")
    for line in (root / "train.txt").read_text("utf-8").splitlines():
        path, number = line.split()
        yield from_printable(classes[int(number)]).decode(), (root / path).read_bytes()


def fiftyone(root):
    """As its documentation describes the layout: keys are file names without extension."""
    content = json.loads((root / "labels.json").read_text("utf-8"))
    assert set(content) == {"classes", "labels"}
    images = {os.path.splitext(path.name)[0]: path for path in (root / "data").iterdir()}  # noqa: PTH122
    assert set(images) == set(content["labels"])
    for key, number in content["labels"].items():
        yield content["classes"][number], images[key].read_bytes()


READERS = {
    "imagefolder": by_class_folder(""),
    "ultralytics": by_class_folder("train", "val"),
    "huggingface": huggingface,
    "imagenet": imagenet,
    "fiftyone": fiftyone,
}


def test_every_folder_is_read_back():
    assert {name for name, row in FORMATS.items() if row.entries and row.of_labels} == set(READERS)


@pytest.fixture
def place(tmp_path):
    """Six images labeled with five classes."""
    with opening(tmp_path) as make:
        made = make(*(f"{number}.png" for number in range(6)))
        for number in range(6):
            made.answer(f"{number}.png", CLASSES[number % 5])
        yield made


def unpacked(place, name, target, **values):
    """The same files out of the archive, in `target`."""
    row = FORMATS[name]
    sink = folders.Zipped(place.photos, "top")
    entries = folders.load(row)(sink, place.db, list(files.labeled(place.db)), row.settings(**values))
    pieces = list(folders.zipped(entries, sink))
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        archive.extractall(target)
    return pieces


@pytest.mark.parametrize("name", READERS)
@quick
@given(names=names(6))
def test_what_is_read_back_is_what_was_labeled(place, name, names):
    place.rename(*names)
    before = {path.name for path in place.root.iterdir()}
    report = place.export(name)
    expected = Counter((class_name, content) for _, class_name, content in place.truth())
    try:
        assert Counter(READERS[name](place.root / "out")) == expected
        assert (report.written, report.skipped) == (6, [])
        assert {path.name for path in place.root.iterdir()} == before | {"out"}
    finally:
        shutil.rmtree(place.root / "out")


@pytest.mark.parametrize("name", READERS)
@quick
@given(names=names(6))
def test_the_archive_holds_what_the_folder_does(place, name, names):
    place.rename(*names)
    place.export(name)
    unpacked(place, name, place.root / "zip")
    try:
        assert everything(place.root / "zip/top") == everything(place.root / "out")
        assert Counter(READERS[name](place.root / "zip/top")) == Counter(READERS[name](place.root / "out"))
    finally:
        shutil.rmtree(place.root / "out")
        shutil.rmtree(place.root / "zip")


@pytest.mark.parametrize("name", READERS)
def test_an_archive_comes_in_pieces_no_larger_than_a_file(place, name):
    for number in range(6):
        path = place.photos / f"{number}.png"
        path.write_bytes(path.read_bytes() + os.urandom(1 << 20))
    from annotator.importing.folder import scan

    scan(place.instance, lambda done, total: None, lambda: False)
    for number in range(6):
        place.answer(f"{number}.png", CLASSES[number % 5])
    pieces = unpacked(place, name, place.root / "zip")
    assert sum(map(len, pieces)) > 6 << 20
    assert max(map(len, pieces)) < 1.1 * (1 << 20)


@pytest.mark.parametrize("name", READERS)
def test_files_that_changed_or_lead_out_are_left_out_and_not_listed(place, name):
    secret = place.root / "secret.png"
    shutil.copy(place.photos / "0.png", secret)
    place.db.execute("UPDATE files SET path = ? WHERE name = '0.png'", [b"../secret.png"])
    (place.photos / "1.png").unlink()
    (place.photos / "1.png").symlink_to(secret)
    (place.photos / "2.png").write_bytes(b"something else")
    report = place.export(name)
    reasons = dict(report.skipped)
    assert "not a path inside" in reasons["0.png"]
    assert "leads out" in reasons["1.png"]
    assert "changed" in reasons["2.png"]
    found = [content for _, content in READERS[name](place.root / "out")]
    assert sorted(found) == sorted((place.photos / f"{number}.png").read_bytes() for number in (3, 4, 5))


@pytest.mark.parametrize("name", READERS)
def test_a_project_without_labels_gives_a_readable_folder(tmp_path, name):
    with opening(tmp_path) as make:
        place = make("a.png")
        assert place.export(name).written == 0
        assert list(READERS[name](place.root / "out")) == []


@pytest.mark.parametrize("name", READERS)
def test_links_share_the_original(place, name):
    place.export(name, links=True)
    linked = {path.stat().st_ino for path in (place.root / "out").rglob("*") if path.is_file()}
    assert {path.stat().st_ino for path in place.photos.iterdir()} <= linked


@pytest.mark.parametrize("name", READERS)
def test_a_folder_that_breaks_off_leaves_nothing(place, name, monkeypatch):
    before = everything(place.root)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(AnnotatorError, match="No space left"):
        place.export(name)
    assert everything(place.root) == before


@pytest.mark.parametrize("name", ["ultralytics", "huggingface", "imagenet", "fiftyone"])
def test_a_file_without_a_suffix_gets_that_of_its_content(tmp_path, name):
    with opening(tmp_path) as make:
        place = make("a.png")
        (place.photos / "a.png").unlink()
        Image.new("RGB", (4, 4)).save(place.photos / "photo", "JPEG")
        from annotator.importing.folder import scan

        scan(place.instance, lambda done, total: None, lambda: False)
        place.answer("photo", "cat")
        place.export(name)
        assert len(list((place.root / "out").rglob("*.jpg"))) == 1


def test_the_split_is_by_content_and_labels_do_not_move_it(place):
    place.export("ultralytics", "before", val=0.4, test=0.3)
    for number in range(6):
        place.answer(f"{number}.png", "cat")
    place.export("ultralytics", "after", val=0.4, test=0.3)

    def parts(root):
        return {path.read_bytes(): path.relative_to(root).parts[0] for path in root.glob("*/*/*")}

    assert parts(place.root / "before") == parts(place.root / "after")


def test_shares_of_the_split_are_met_on_average():
    import hashlib

    shares = UltralyticsSettings(val=0.2, test=0.1)
    drawn = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(20_000))
    found = Counter(ultralytics.part_of(sha256, shares) for sha256 in drawn)
    assert found["val"] / 20_000 == pytest.approx(0.2, abs=0.01)  # 3.5 standard deviations
    assert found["test"] / 20_000 == pytest.approx(0.1, abs=0.0075)


def test_every_part_has_a_folder_for_every_class_with_labels(place):
    """Ultralytics numbers classes by their place among the folders of each part."""
    place.export("ultralytics", val=0.5, test=0.1)
    parts = [{path.name for path in (place.root / "out" / part).iterdir()} for part in ("train", "val", "test")]
    assert parts[0] == parts[1] == parts[2]
    assert len(parts[0]) == 5


def test_a_split_that_leaves_nothing_to_train_is_refused(place):
    with pytest.raises(AnnotatorError, match="leave nothing to train"):
        place.export("ultralytics", val=0.5, test=0.5)


def test_metadata_as_csv_say_the_same(place):
    place.export("huggingface", "a")
    place.export("huggingface", "b", metadata="csv")
    with (place.root / "b/train/metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = [json.loads(line) for line in (place.root / "a/train/metadata.jsonl").read_text().splitlines()]
    assert rows == [{key: "" if value is None else str(value) for key, value in row.items()} for row in expected]


def test_numbers_of_classes_are_those_of_the_project(place):
    place.export("fiftyone")
    content = json.loads((place.root / "out/labels.json").read_text("utf-8"))
    assert content["classes"] == [row["name"] for row in project.classes(place.db)]


def test_images_of_the_same_name_are_told_apart(tmp_path):
    with opening(tmp_path) as make:
        place = make("x/a.png", "y/a.png", "z/A.png", "a b.png", "a.b.png")
        for row in list(place.db.query("SELECT name FROM files")):
            place.answer(row["name"], "cat")
        for name in READERS:
            place.export(name, name)
            assert len(list(READERS[name](place.root / name))) == 5
    assert Path.cwd().exists()
