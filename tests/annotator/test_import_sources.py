"""Label Studio, Prodigy and folders as sources of labels, as those tools write them."""

import json
import shutil
import sys

import pytest
from places import opening
from test_import_labels import current, stored, take, write

from annotator.errors import AnnotatorError
from annotator.export import FORMATS
from annotator.importing import json_list
from annotator.store import db as store

FILES = [f"{number}.png" for number in range(4)]


@pytest.fixture
def place(tmp_path):
    """Four images without a label."""
    with opening(tmp_path) as make:
        yield make(*FILES)


def task(image, *choices, **more):
    """As Label Studio exports it."""
    results = [
        {"id": "x", "from_name": "what", "to_name": "image", "type": "choices", "value": {"choices": [choice]}}
        for choice in choices
    ]
    annotation = {"id": 1, "result": results, "was_cancelled": False, "completed_by": 3} | more
    return {"id": 1, "data": {"image": image}, "annotations": [annotation], "predictions": []}


def test_annotations_of_label_studio_are_labels_and_predictions_are_not(place):
    said = task("/data/local-files/?d=photos/0.png", "cat")["annotations"][0]
    tasks = [
        task("/data/local-files/?d=photos/0.png", "cat", completed_by={"id": 1, "email": "ann@example.org"}),
        {"data": {"image": "1.png"}, "annotations": [], "predictions": [said]},
        task("/data/upload/1/0123abcd-2.png", "Cat"),
        task("3.png", "cat", was_cancelled=True),
    ]
    outcome, left_out = take(place, write(place, json.dumps(tasks), "export.json"))
    assert (outcome.added, outcome.empty, left_out) == (2, 2, [])
    assert current(place) == {"0.png": "cat", "2.png": "Cat"}
    sql = "SELECT name FROM labels JOIN people ON people.id = person_id ORDER BY labels.id"
    assert [name for (name,) in place.db.execute(sql)] == ["ann@example.org", "3"]


def test_bad_tasks_are_refused_one_by_one_with_their_lines(place):
    bad = [
        task("0.png", "cat", "Cat"), task("x.png", "cat"), {"data": {"text": "a"}, "annotations": []},
        task("0.png", 7.5), {"data": {"image": "0.png"}, "annotations": {"a": 1}}, {"data": {"image": ["a", "b"]}}, 5,
        [], task("0.png", result="cat"), {"image": "0.png", "choice": {"choices": ["cat", "Cat"]}},
    ]  # fmt: skip
    text = "[\n" + ",\n".join(map(json.dumps, [*bad, task("1.png", "cat")])) + "\n]"
    outcome, left_out = take(place, write(place, text, "export.json"))
    assert current(place) == {"1.png": "cat"}
    assert [row.line for row in left_out] == list(range(2, 2 + len(bad)))
    assert outcome.refused == len(bad)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("", "breaks off"), (', {"image": ', "not JSON"), (", nonsense]", "not JSON"), (" {}]", "breaks off"),
        (", " + "[" * 100_000, "nested too deep"), (", " + "1" * 5000 + "]", "not JSON"),
    ],
)  # fmt: skip
def test_a_list_that_breaks_off_keeps_what_came_before(place, end, said):
    path = write(place, '[{"image": "0.png", "choice": "cat"}' + end, "export.json")
    _, (left_out,) = take(place, path)
    assert said in left_out.reason
    assert current(place) == {"0.png": "cat"}


def test_a_list_of_any_length_is_read_in_pieces(place, monkeypatch):
    monkeypatch.setattr(json_list, "CHUNK", 7)
    items = [{"image": name, "choice": "cat", "more": "é\n" * 50} for name in FILES]
    take(place, write(place, "\ufeff" + json.dumps(items, indent=1, ensure_ascii=False), "export"))
    assert current(place) == dict.fromkeys(FILES, "cat")


def test_what_is_no_list_is_refused(place):
    with pytest.raises(AnnotatorError, match="not a JSON list"):
        take(place, write(place, "{}", "x"), source="labelstudio")


def test_the_control_of_label_studio_can_be_named(place):
    two = task("0.png", "cat")
    two["annotations"][0]["result"].append({"from_name": "other", "type": "choices", "value": {"choices": ["Cat"]}})
    take(place, write(place, json.dumps([two]), "x.json"), class_column="other")
    assert current(place) == {"0.png": "Cat"}


def test_prodigy_counts_what_was_accepted(place):
    options = [{"id": 1, "text": "cat"}, {"id": 2, "text": "Cat"}]
    tasks = [
        {"path": "a/0.png", "image": "data:image/png;base64,xx", "options": options, "accept": [2], "answer": "accept"},
        {"image": "1.png", "options": options, "accept": [1], "answer": "reject"},
        {"image": "2.png", "label": "cat", "answer": "accept", "_view_id": "classification", "_session_id": "ann"},
        {"image": "3.png", "options": options, "accept": [1, 2], "answer": "accept"},
        {"image": "data:image/png;base64,xx", "accept": [1], "answer": "accept"},
    ]
    outcome, left_out = take(place, write(place, "\n".join(map(json.dumps, tasks)), "x.jsonl"))
    assert current(place) == {"0.png": "Cat", "2.png": "cat"}
    assert (outcome.empty, [row.line for row in left_out]) == (1, [4, 5])


def test_without_pyarrow_a_parquet_file_is_one_clear_line(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(AnnotatorError, match=r"needs pyarrow: pip install 'annotator\[parquet\]'"):
        take(place, write(place, b"PAR1...", "labels"))


def export_folders(place):
    out = place.root / "labeled"
    FORMATS["imagefolder"].load()(place.instance, place.db, out)
    return out


def test_folders_that_we_wrote_are_read_back_by_content(tmp_path):
    with opening(tmp_path / "a") as first, opening(tmp_path / "b") as second:
        labeled, empty = first(*FILES), second("other/names.png", "b.png", "c.png", "d.png")
        for name, class_name in zip(FILES, ("cat", "Cat", "../x", "two\nlines"), strict=True):
            labeled.answer(name, class_name)
        out = export_folders(labeled)
        outcome, left_out = take(empty, out)
        assert (outcome.added, dict(outcome.matched), left_out) == (4, {"content": 4}, [])
        assert sorted(row[1:] for row in empty.truth()) == sorted(row[1:] for row in labeled.truth())
        before = stored(empty)
        assert take(empty, out)[0].there == 4
        assert stored(empty) == before


def test_folders_in_the_projects_folder_are_known_by_path(tmp_path):
    with opening(tmp_path) as make:
        place = make("train/cat/a.png", "train/Cat/2021/b.png", "train/dog/c.png", "train/d.png", "e.png")
        outcome, (left_out,) = take(place, place.photos / "train")
        assert current(place) == {"train/cat/a.png": "cat", "train/Cat/2021/b.png": "Cat"}
        assert (outcome.matched["path"], outcome.empty) == (2, 1)
        assert "no class 'dog'" in left_out.reason


def test_a_link_out_of_the_folder_and_damaged_names_are_refused(place, tmp_path):
    folder = place.root / "new"
    (folder / "cat").mkdir(parents=True)
    shutil.copy(place.photos / "0.png", folder / "cat/x.png")
    (folder / "cat/link.png").symlink_to(place.instance / store.FILE)
    _, (left_out,) = take(place, folder)
    assert "a link that leads out" in left_out.reason
    assert current(place) == {"0.png": "cat"}
    (folder / "classes.json").write_text("[1]")
    with pytest.raises(AnnotatorError, match=r"classes\.json in new is damaged"):
        take(place, folder)
