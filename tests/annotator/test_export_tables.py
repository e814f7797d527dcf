"""Formats that are one file: what is read back is what was labeled, whatever it is called."""

import csv
import io
import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from places import CLASSES, names, opening

from annotator.errors import AnnotatorError
from annotator.export import FORMATS
from annotator.originals import from_printable
from annotator.store import db as store

DOC = Path(__file__).parents[2] / "docs/formats.md"
TABLES = {
    "csv": lambda text: [(row["path"], row["class"]) for row in csv.DictReader(io.StringIO(text, newline=""))],
    "jsonl": lambda text: [(row["path"], row["class"]) for row in lines(text)],
    "labelstudio": lambda text: [(task["data"]["image"], choice(task["annotations"])) for task in json.loads(text)],
    "labelstudio-min": lambda text: [(item["image"], item["choice"]) for item in json.loads(text)],
    "prodigy": lambda text: [(task["image"], *task["accept"]) for task in lines(text)],
    "coco": lambda text: list(coco(json.loads(text))),
}
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def lines(text):
    """Read as the most careless reader does: every line end of Unicode counts."""
    return [json.loads(line) for line in text.splitlines()]


def choice(results):
    ((result,),) = (entry["result"] for entry in results)
    assert (result["type"], result["from_name"], result["to_name"]) == ("choices", "choice", "image")
    (name,) = result["value"]["choices"]
    return name


def coco(content):
    images = {image["id"]: image["file_name"] for image in content["images"]}
    classes = {category["id"]: category["name"] for category in content["categories"]}
    for annotation in content["annotations"]:
        yield images[annotation["image_id"]], classes[annotation["category_id"]]


@pytest.fixture
def place(tmp_path):
    """Four images labeled with four classes."""
    with opening(tmp_path) as make:
        made = make(*(f"{number}.png" for number in range(4)))
        for number, name in enumerate(CLASSES[:4]):
            made.answer(f"{number}.png", name)
        yield made


def exported(place, name, **values):
    out = place.root / "out"
    row = FORMATS[name]
    report = row.load()(place.instance, place.db, out, row.settings(**values))
    return report, out.read_bytes().decode("utf-8")


@pytest.mark.parametrize("name", TABLES)
@quick
@given(names=names(4))
def test_what_is_read_back_is_what_was_labeled(place, name, names):
    place.rename(*names)
    report, text = exported(place, name)
    assert sorted(TABLES[name](text)) == sorted((path, class_name) for path, class_name, _ in place.truth())
    assert (report.written, report.skipped) == (4, [])
    assert {path.name for path in place.root.iterdir()} == {"photos", "instance", "out"}


@pytest.mark.parametrize("name", TABLES)
def test_a_project_without_labels_gives_a_readable_file(tmp_path, name):
    with opening(tmp_path) as make:
        report, text = exported(make("a.png"), name)
    assert (report.written, TABLES[name](text)) == (0, [])


@pytest.mark.parametrize("name", TABLES)
def test_a_file_that_cannot_be_written_leaves_nothing(place, name):
    (place.root / "out").mkdir()
    with pytest.raises(AnnotatorError, match="cannot write"):
        FORMATS[name].load()(place.instance, place.db, place.root / "out")
    assert {path.name for path in place.root.iterdir()} == {"photos", "instance", "out"}
    assert list((place.root / "out").iterdir()) == []


@pytest.mark.parametrize("name", TABLES)
def test_an_export_that_breaks_off_keeps_the_older_file(place, name, monkeypatch):
    _, before = exported(place, name)
    place.answer("0.png", "Cat")

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AnnotatorError, match="No space left"):
        FORMATS[name].load()(place.instance, place.db, place.root / "out")
    assert (place.root / "out").read_bytes().decode() == before


def test_json_lines_have_the_columns_of_the_csv_and_true_types(place):
    values = {"seconds": 1.25, "model": 2, "suggested_id": place.classes["Cat"], "suggestion_shown": True}
    place.answer("0.png", "cat", **values)
    row, *others = lines(exported(place, "jsonl")[1])
    assert list(row) == next(csv.reader(exported(place, "csv")[1].splitlines()))
    found = {name: row[name] for name in ("seconds", "model", "suggested", "suggestion_shown", "score")}
    assert found == {"seconds": 1.25, "model": 2, "suggested": "Cat", "suggestion_shown": True, "score": None}
    assert [other["suggestion_shown"] for other in others] == [False] * 3


def test_an_infinite_score_is_null_in_json(place):
    with store.write(place.db):
        place.db.execute(
            "INSERT INTO queue (image_id, source, round, strategy, score, rank) VALUES (?, 'query', 1, 'x', 9e999, 0)",
            [place.image("0.png")],
        )
    place.answer("0.png", "cat")
    first = lines(exported(place, "jsonl")[1])[0]
    assert (first["strategy"], first["score"]) == ("x", None)
    assert json.loads(exported(place, "labelstudio")[1])[0]["meta"] == first


def test_label_studio_gets_a_suggestion_as_a_prediction(place):
    place.answer("0.png", "cat", model=7, suggested_id=place.classes["Cat"])
    first, *others = json.loads(exported(place, "labelstudio")[1])
    assert choice(first["annotations"]) == "cat"
    assert choice(first["predictions"]) == "Cat"
    assert first["predictions"][0]["model_version"] == "7"
    assert [task["predictions"] for task in others] == [[], [], []]


def test_what_a_file_suggested_is_no_prediction_of_a_model_called_none(place):
    place.answer("0.png", "cat", model=None, suggested_id=place.classes["Cat"], suggestion_shown=True)
    (said,) = json.loads(exported(place, "labelstudio")[1])[0]["predictions"]
    assert (said["model_version"], choice([said])) == ("import", "Cat")


def test_prodigy_gets_every_class_as_an_option(place):
    task = lines(exported(place, "prodigy")[1])[1]
    assert task["options"] == [{"id": name, "text": name} for name in CLASSES]
    assert (task["label"], task["answer"], task["_session_id"]) == ("../x", "accept", "local")


def test_coco_has_sizes_and_no_boxes(place):
    content = json.loads(exported(place, "coco")[1])
    assert {(image["width"], image["height"]) for image in content["images"]} == {(3, 3)}
    assert not any("bbox" in annotation for annotation in content["annotations"])
    assert [category["name"] for category in content["categories"]] == CLASSES


@pytest.mark.parametrize("name", ["labelstudio", "labelstudio-min", "prodigy"])
@quick
@given(names=names(4))
def test_behind_a_prefix_a_path_is_percent_encoded(place, name, names):
    place.rename(*names)
    prefix = "/data/local-files/?d=photos/"
    tails = [path.removeprefix(prefix) for path, _ in TABLES[name](exported(place, name, prefix=prefix)[1])]
    assert not any(set(tail) & set(' "#&?+\n') for tail in tails)
    assert sorted(map(unquote_to_bytes, tails)) == sorted(from_printable(path) for path, _, _ in place.truth())


@pytest.mark.parametrize("name", ["parquet", "datasets"])
def test_a_missing_library_is_named_with_its_extra(place, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(AnnotatorError, match=r"pip install 'annotator\[parquet\]'"):
        exported(place, name)
    assert {path.name for path in place.root.iterdir()} == {"photos", "instance"}


def test_the_page_of_formats_lists_them_all():
    assert re.findall(r"^\| `([a-z-]+)` \|", DOC.read_text("utf-8"), re.M) == list(FORMATS)
