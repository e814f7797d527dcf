"""A project as one file: taken while people label, restored elsewhere, checked against its manifest."""

import json
import shutil
import sqlite3
import threading
import time
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from annotator import backup as module
from annotator.backup import backup, restore
from annotator.errors import AnnotatorError
from annotator.importing.folder import scan
from annotator.serving import found
from annotator.store import db as store
from annotator.store import images as image_store
from annotator.store import project, rounds


def rows(path: Path, sql: str = "SELECT * FROM labels ORDER BY id") -> list[tuple]:
    """Read without our code."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def rescan(instance: Path) -> None:
    scan(instance, lambda done, total: None, lambda: False)


def test_a_restored_project_has_every_answer_and_the_model(learned, tmp_path):
    made = backup(learned, tmp_path / "b.zip")
    manifest = restore(tmp_path / "b.zip", tmp_path / "again")
    assert made.answers == manifest["answers"] == 10
    assert rows(tmp_path / "again" / store.FILE) == rows(learned / store.FILE)
    db = store.connect(tmp_path / "again" / store.FILE)
    model = rounds.latest_model(db)
    for name in ("model.safetensors", "model.json", "predictions.db"):
        assert (tmp_path / "again" / model["folder"] / name).read_bytes() == (
            learned / model["folder"] / name
        ).read_bytes()


def test_with_images_it_needs_nothing_else_and_goes_on_elsewhere(learned, photos, tmp_path):
    odd = photos / "sub" / "back\\slash \udcff\n.png"
    odd.parent.mkdir()
    shutil.copy(photos / "00-cat.png", odd)
    rescan(learned)
    assert backup(learned, tmp_path / "b.zip", images=True).images == 41
    restore(tmp_path / "b.zip", tmp_path / "moved" / "again")
    shutil.rmtree(photos)
    instance = (tmp_path / "moved" / "again").rename(tmp_path / "further")  # a whole instance can be moved again
    rescan(instance)
    db = store.connect(instance / store.FILE)
    assert image_store.counts(db) == {"images": 40, "audit": 0, "aside": 0}
    assert (instance / "images" / "sub" / odd.name).exists()


def test_images_that_cannot_be_read_are_named_and_hold_up_nothing(learned, photos, tmp_path):
    (photos / "00-cat.png").unlink()
    made = backup(learned, tmp_path / "b.zip", images=True)
    assert made.images == 39
    assert made.skipped == [("00-cat.png", "cannot be read: No such file or directory")]


def test_a_backup_taken_amid_answers_is_one_moment_of_them(make_instance, tmp_path):
    """Each transaction writes two rows: a backup has both or none."""
    instance = make_instance()
    stop = threading.Event()

    def write() -> None:
        db, number = store.connect(instance / store.FILE), 0
        while number == 0 or not stop.is_set():
            number += 1
            with store.write(db):
                project.set_counter(db, "one", number)
                project.set_counter(db, "two", number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        deadline, seen = time.monotonic() + 20, set()
        while len(seen) < 5 and time.monotonic() < deadline:
            archive = tmp_path / f"{len(list(tmp_path.glob('*.zip')))}.zip"
            backup(instance, archive)
            restore(archive, tmp_path / archive.stem)
            found = dict(rows(tmp_path / archive.stem / store.FILE, "SELECT name, value FROM counters"))
            assert found.get("one") == found.get("two")
            seen.add(found.get("one"))
    finally:
        stop.set()
        writer.join()
    assert len(seen) == 5


def test_neither_a_file_nor_an_instance_is_overwritten(learned, tmp_path):
    backup(learned, tmp_path / "b.zip")
    with pytest.raises(AnnotatorError, match="is there already"):
        backup(learned, tmp_path / "b.zip")
    with pytest.raises(AnnotatorError, match="is not empty"):
        restore(tmp_path / "b.zip", learned)


def test_a_backup_that_fails_leaves_nothing(learned, tmp_path, monkeypatch):
    monkeypatch.setattr(module._Writer, "_add_model", lambda self: (_ for _ in ()).throw(OSError(28, "No space left")))
    (tmp_path / "out").mkdir()
    with pytest.raises(OSError, match="No space"):
        backup(learned, tmp_path / "out" / "b.zip")
    assert list((tmp_path / "out").iterdir()) == []


def changed(archive: Path, name: str, content: bytes, into: Path, as_name: str | None = None) -> Path:
    """The archive with one entry replaced, or added, and its manifest as it was."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(into, "w") as new:
        for entry in old.namelist():
            new.writestr(entry, content if entry == name else old.read(entry))
        if as_name:
            manifest = json.loads(old.read("manifest.json"))
            manifest["sha256"][as_name] = "0"
            new.writestr("manifest.json", json.dumps(manifest))
            new.writestr(as_name, content)
    return into


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "name", ["../out", "images/../../out", "/etc/out", "secret", "images/\\x2e\\x2e/\\x2e\\x2e/out"]
)
def test_an_archive_cannot_write_outside_of_the_instance(learned, tmp_path, name):
    backup(learned, tmp_path / "b.zip")
    evil = changed(tmp_path / "b.zip", "", b"x", tmp_path / "evil.zip", as_name=name)
    with pytest.raises(AnnotatorError, match=r"does not belong|leads out|damaged: .*surrogates"):
        restore(evil, tmp_path / "again" / "instance")
    assert list((tmp_path / "again").iterdir()) == []


def test_a_changed_or_torn_archive_is_refused_as_a_whole(learned, tmp_path):
    backup(learned, tmp_path / "b.zip")
    wrong = changed(tmp_path / "b.zip", store.FILE, b"SQLite format 3\0", tmp_path / "wrong.zip")
    (tmp_path / "torn.zip").write_bytes((tmp_path / "b.zip").read_bytes()[:-500])
    (tmp_path / "text.zip").write_text("hello")
    for archive, said in (
        (wrong, "labels.db has changed"), (tmp_path / "torn.zip", "not a zip"), (tmp_path / "text.zip", "not a zip"),
    ):  # fmt: skip
        with pytest.raises(AnnotatorError, match=said):
            restore(archive, tmp_path / "again")
        assert not (tmp_path / "again").exists()


def test_images_that_moved_are_found_by_content(learned, photos, tmp_path):
    new = tmp_path / "elsewhere"
    photos.rename(new)
    (new / "deeper").mkdir()
    for path in list(new.glob("*.png")):
        path.rename(new / "deeper" / f"renamed-{path.name}")
    found(learned, "photos", new, [], {})
    rescan(learned)
    db = store.connect(learned / store.FILE)
    assert image_store.counts(db)["images"] == 40
    assert len(rows(learned / store.FILE)) == 10


def test_a_folder_without_any_of_the_images_is_refused(learned, photos, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.png").write_bytes(b"x" * (photos / "00-cat.png").stat().st_size)
    photos.rename(tmp_path / "elsewhere")
    with pytest.raises(AnnotatorError, match="holds none of its images"):
        found(learned, "photos", tmp_path / "other", [], {})
