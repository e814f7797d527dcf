"""What an export takes and leaves, and the manifest beside it."""

import csv
import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from places import opening

from annotator import __version__, predictions
from annotator.cli import main
from annotator.errors import AnnotatorError
from annotator.export import FORMATS
from annotator.export.filters import Filters
from annotator.store import db as store
from annotator.store import labels, project, rounds

FILES = [f"{number}.png" for number in range(8)]
ABLE = [name for name, row in FORMATS.items() if row.unlabeled and not row.extra]
UNABLE = [name for name, row in FORMATS.items() if not row.unlabeled and row.of_labels]


@pytest.fixture
def place(tmp_path):
    """0: cat, by ann. 1: cat, by ann and bob. 2: Cat, by ann and bob against carl. 3: ../x, by bob, of the audit.

    4: cat, by ann, while bob is unsure. 5: skipped. 6: flagged. 7: nobody looked.
    """
    with opening(tmp_path) as make:
        made = make(*FILES)
        with store.write(made.db):
            ids = {name: project.person_id(made.db, name) for name in ("ann", "bob", "carl")}
            made.db.execute("UPDATE images SET audit = 1 WHERE id = ?", [made.image("3.png")])
        for name, class_name, people in (
            ("0.png", "cat", "ann"), ("1.png", "cat", "ann bob"), ("2.png", "Cat", "ann bob"), ("2.png", "cat", "carl"),
            ("3.png", "../x", "bob"), ("4.png", "cat", "ann"),
        ):  # fmt: skip
            for person in people.split():
                made.answer(name, class_name, person_id=ids[person])
        for name, kind in (("4.png", "unsure"), ("5.png", "skip"), ("6.png", "flag")):
            made.answer(name, kind=kind, person_id=ids["bob"])
        with store.write(made.db):
            made.db.execute("DROP TRIGGER labels_are_never_changed")
            made.db.execute("UPDATE labels SET created = printf('2026-01-%02dT12:00:00.000+00:00', id)")
        yield made


def taken(place, **filters):
    place.export("csv", "labels.csv", Filters(**filters))
    with (place.root / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers(rows):
    return "".join(row["path"].removesuffix(".png") for row in rows)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "01234"[:4]),
        ({"only_class": ("cat",)}, "01"),
        ({"only_class": ("cat", "../x")}, "013"),
        ({"agreed": True}, "013"),
        ({"person": "ann"}, "012"),
        ({"person": "bob"}, "123"),
        ({"person": "carl"}, ""),
        ({"person": "bob", "only_class": ("Cat",)}, "2"),
        ({"since": "2026-01-01"}, "0123"),
        ({"since": "2026-01-04"}, "23"),
        ({"since": "2026-01-07T12:00"}, "3"),
        ({"since": "2026-01-07T12:00:01"}, ""),
        ({"since": "2026-01-07T14:00+02:00"}, "3"),
        ({"since": "2026-01-04", "person": "ann"}, "2"),
        ({"audit": "only"}, "3"),
        ({"audit": "exclude"}, "012"),
        ({"source": "tail"}, "012"),
        ({"unlabeled": True}, "01234567"),
        ({"unlabeled": True, "audit": "exclude", "only_class": ("Cat",)}, "24567"),
        ({"unlabeled": True, "audit": "only"}, "3"),
    ],
)
def test_filters_take_these_files(place, filters, expected):
    assert numbers(taken(place, **filters)) == expected


def test_the_row_is_the_answer_that_meets_the_filter(place):
    assert [row["person"] for row in taken(place, only_class=("cat",))] == ["ann", "bob"]
    assert [row["person"] for row in taken(place, only_class=("cat",), person="ann")] == ["ann", "ann"]


def test_sources_are_told_apart(place):
    with store.write(place.db):
        place.db.execute("UPDATE labels SET source = 'import' WHERE id = 1")
    assert numbers(taken(place, source="import")) == "0"


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"only_class": ("cow",)}, "unknown class 'cow'; choose from cat, "),
        ({"person": "eve"}, "unknown person 'eve'; choose from local, ann, bob, carl"),
        ({"source": "magic"}, "unknown source 'magic'; choose from audit, tail"),
        ({"since": "yesterday"}, "'yesterday' is not a time"),
        ({"since": "0001-01-01T00:00+14:00"}, "is not a time"),
    ],
)
def test_a_filter_that_names_nothing_is_refused_and_writes_nothing(place, filters, named):
    with pytest.raises(AnnotatorError, match=named):
        taken(place, **filters)
    assert not (place.root / "labels.csv").exists()


def test_hostile_names_are_values_and_never_sql(place):
    name = "x' OR 1=1 --"
    place.rename([name], [])
    assert numbers(taken(place, only_class=(name,))) == "01"
    with pytest.raises(AnnotatorError, match="unknown person"):
        taken(place, person="' OR 1=1 --")


def test_a_filter_agrees_with_the_answers_one_by_one(place):
    """Against each image's history, read without the view."""
    for name in ("ann", "bob", "carl"):
        expected = []
        for file in FILES:
            rows = place.db.query(
                """SELECT people.name AS person, kind, class_id FROM labels JOIN people ON people.id = person_id
                JOIN files USING (image_id) WHERE files.name = ?""",
                [file],
            )
            said = {row["person"]: row["class_id"] for row in rows if row["kind"] != "skip"}
            votes = list(said.values())
            winner = next((vote for vote in votes if vote and votes.count(vote) * 2 > len(votes)), None)
            if winner and said.get(name) == winner:
                expected.append(file)
        assert [row["path"] for row in taken(place, person=name)] == expected


def with_model(place):
    """A round that is sure of everything: Cat at 0.75."""
    folder = place.instance / "models/1"
    folder.mkdir(parents=True)
    ids = [place.classes["cat"], place.classes["Cat"]]
    images = np.array([place.image(name) for name in FILES[:7]])
    predictions.write(folder / predictions.FILE, images, np.array([[0.25, 0.75]] * 7, np.float32), ids)
    with store.write(place.db):
        rounds.start(place.db, 1, 5)
        rounds.update(place.db, 1, folder="models/1", finished="2026-01-01")
    return place


def test_unlabeled_images_come_with_what_the_model_says(place):
    rows = taken(with_model(place), unlabeled=True)
    assert [row["status"] for row in rows] == ["label"] * 4 + ["conflict", "skip", "flag", ""]
    assert [row["class"] for row in rows] == ["cat", "cat", "Cat", "../x", "", "", "", ""]
    assert [(row["predicted"], row["confidence"]) for row in rows] == [("Cat", "0.75")] * 7 + [("", "")]


def test_without_a_model_nothing_is_predicted(place):
    assert {row["predicted"] for row in taken(place, unlabeled=True)} == {""}


def test_images_that_cannot_be_used_are_not_among_the_unlabeled(place):
    with store.write(place.db):
        place.db.execute("UPDATE images SET aside = 'damaged' WHERE id = ?", [place.image("7.png")])
    (place.photos / "5.png").unlink()
    with store.write(place.db):
        place.db.execute("UPDATE files SET missing = 1 WHERE name = '5.png'")
    assert numbers(taken(place, unlabeled=True)) == "012346"


def test_label_studio_gets_predictions_of_unlabeled_images(place):
    with_model(place).export("labelstudio", filters=Filters(unlabeled=True))
    tasks = json.loads((place.root / "out").read_text("utf-8"))
    assert [len(task["annotations"]) for task in tasks] == [1] * 4 + [0] * 4
    (said,) = tasks[4]["predictions"]
    assert (said["score"], said["result"][0]["value"]) == (0.75, {"choices": ["Cat"]})
    assert tasks[7]["predictions"] == []


@pytest.mark.parametrize("name", ABLE)
def test_formats_that_say_so_hold_unlabeled_images(place, name):
    assert place.export(name, filters=Filters(unlabeled=True)).written == 8


@pytest.mark.parametrize("name", UNABLE)
def test_the_others_refuse_them(place, name):
    with pytest.raises(AnnotatorError, match="cannot hold images without a label; use one of csv"):
        place.export(name, filters=Filters(unlabeled=True))
    assert not (place.root / "out").exists()


def test_the_model_takes_no_filters(place):
    with pytest.raises(AnnotatorError, match="takes no filters"):
        place.export("model", filters=Filters(agreed=True))


@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if row.of_labels and not row.extra])
def test_every_format_filters_and_has_the_same_manifest(place, name):
    report = place.export(name, filters=Filters(person="bob"), with_manifest=True)
    manifest = json.loads((place.root / "out.manifest.json").read_text("utf-8"))
    assert report.written == manifest["written"] == manifest["selected"] == 3
    assert (manifest["version"], manifest["format"], manifest["skipped"]) == (__version__, name, [])
    assert manifest["project"]["name"] == "photos"
    assert manifest["filters"]["person"] == "bob"
    assert [(file["path"], file["class"], file["people"]) for file in manifest["files"]] == [
        ("1.png", "cat", ["ann", "bob"]), ("2.png", "Cat", ["ann", "bob"]), ("3.png", "../x", ["bob"]),
    ]  # fmt: skip
    for file in manifest["files"]:
        assert file["sha256"] == hashlib.sha256((place.photos / file["path"]).read_bytes()).hexdigest()


def test_the_manifest_says_why_an_image_was_asked(place):
    with store.write(place.db):
        place.db.execute(
            """INSERT INTO queue (image_id, source, round, strategy, score, probability, rank)
            VALUES (?, 'query', 3, 'margin', 9e999, 0.125, 0)""",
            [place.image("7.png")],
        )
    place.answer("7.png", "cat", model=2)
    place.export("csv", filters=Filters(source="query"), with_manifest=True)
    (file,) = json.loads((place.root / "out.manifest.json").read_text("utf-8"))["files"]
    asked = {name: file[name] for name in ("source", "round", "strategy", "score", "probability", "model")}
    assert asked == {
        "source": "query", "round": 3, "strategy": "margin", "score": None, "probability": 0.125, "model": 2,
    }  # fmt: skip


def test_the_manifest_lists_what_was_left_out(place):
    (place.photos / "0.png").write_bytes(b"changed")
    report = place.export("imagefolder", with_manifest=True)
    manifest = json.loads((place.root / "out.manifest.json").read_text("utf-8"))
    assert (manifest["selected"], manifest["written"], report.written) == (4, 3, 3)
    assert [skipped["path"] for skipped in manifest["skipped"]] == ["0.png"]


def test_an_empty_manifest_is_json(place):
    place.export("csv", filters=Filters(person="carl"), with_manifest=True)
    assert json.loads((place.root / "out.manifest.json").read_text("utf-8"))["files"] == []


@pytest.mark.parametrize("name", ["csv", "imagefolder"])
def test_an_export_that_breaks_off_keeps_the_older_manifest(place, name, monkeypatch):
    place.export(name, with_manifest=True)
    before = (place.root / "out.manifest.json").read_bytes()
    if (place.root / "out").is_dir():
        shutil.rmtree(place.root / "out")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(AnnotatorError, match="No space left"):
        place.export(name, with_manifest=True)
    assert (place.root / "out.manifest.json").read_bytes() == before


def test_the_command_line_has_every_filter_and_the_manifest(place):
    out = place.root / "x.csv"
    options = ["--only-class", "cat", "--only-class", "Cat", "--agreed", "--since", "2026-01-02", "--manifest"]
    command = ["export", "csv", "-o", str(out), "--instance", str(place.instance), *options]
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert (done.exit_code, done.output) == (0, f"{out}: 1 written\n")
    filters = json.loads((place.root / "x.csv.manifest.json").read_text("utf-8"))["filters"]
    assert filters == {
        "only_class": ["cat", "Cat"], "agreed": True, "since": "2026-01-02", "person": "", "source": "",
        "audit": "include", "unlabeled": False,
    }  # fmt: skip


def test_asking_for_a_few_images_gives_what_asking_for_all_does(place):
    from annotator.store import files

    few = [place.image("2.png"), place.image("7.png")]
    for filters in (Filters(), Filters(unlabeled=True)):
        every = [row for row in files.labeled(place.db, filters) if row["image"] in few]
        assert list(files.labeled(place.db, filters, images=few)) == every
    assert labels.cursor(place.db) > 0


def test_every_filter_is_documented():
    text = (Path(__file__).parents[2] / "docs/formats.md").read_text("utf-8")
    missing = [field.name for field in dataclasses.fields(Filters) if f"--{field.name.replace('_', '-')}" not in text]
    assert missing == []
