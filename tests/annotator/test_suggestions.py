"""Suggestions out of files: shown to people, never labels, replaced by what a model of the project says."""

import json
from contextlib import closing

import pytest
from places import opening

from annotator import create_app
from annotator.importing.labels import import_labels
from annotator.importing.rows import Asked
from annotator.importing.taking import Wish
from annotator.store import db as store
from annotator.store import suggestions


@pytest.fixture
def place(tmp_path):
    with opening(tmp_path) as make:
        yield make("0.png", "1.png", "2.png")


def take(place, content, name="predictions.csv", **wish):
    """(the outcome, the first rows left out)."""
    path = place.root / name
    path.write_text(content)
    _, outcome, left_out, _ = import_labels(place.instance, path, Asked(), Wish("", suggestions=True, **wish))
    return outcome, left_out


def stored(place):
    """File name -> (class, confidence, origin)."""
    sql = """SELECT files.name, classes.name, confidence, origin FROM suggestions JOIN files USING (image_id)
        JOIN classes ON classes.id = class_id"""
    return {name: tuple(rest) for name, *rest in place.db.execute(sql).fetchall()}


def labels_of(place):
    return place.db.execute("SELECT count(*) FROM labels").fetchone()[0]


def test_rows_become_suggestions_and_no_labels(place):
    outcome, left_out = take(place, "path,class,confidence\n0.png,cat,0.9\n1.png,Cat,\nx.png,cat,1\n2.png,cat,1.5\n")
    assert stored(place) == {"0.png": ("cat", 0.9, "predictions.csv"), "1.png": ("Cat", None, "predictions.csv")}
    assert (outcome.added, labels_of(place), [row.line for row in left_out]) == (2, 0, [4, 5])


def test_the_same_file_again_changes_nothing_and_a_newer_one_wins(place):
    first = "path,class\n0.png,cat\n"
    take(place, first)
    before = place.db.execute("SELECT * FROM suggestions").fetchall()
    outcome, _ = take(place, first)
    assert (outcome.added, outcome.there) == (0, 1)
    assert place.db.execute("SELECT * FROM suggestions").fetchall() == before
    take(place, "path,class\n0.png,Cat\n", "newer.csv")
    assert stored(place) == {"0.png": ("Cat", None, "newer.csv")}


def test_a_dry_run_says_the_same_and_writes_nothing(place):
    outcome, _ = take(place, "path,class\n0.png,cat\n1.png,cat\n", dry_run=True)
    assert (outcome.added, stored(place)) == (2, {})


def test_a_file_that_says_two_things_of_an_image_keeps_its_first(place):
    _, left_out = take(place, "path,class\n0.png,cat\n0.png,Cat\n0.png,cat\n")
    assert stored(place)["0.png"][0] == "cat"
    assert [row.line for row in left_out] == [3]


def test_beside_a_strategy_a_score_is_no_confidence(place):
    take(place, "path,class,score\n0.png,cat,0.5\n")
    take(place, "path,class,score,strategy\n1.png,cat,0.5,margin\n", "ours.csv")
    assert {name: row[1] for name, row in stored(place).items()} == {"0.png": 0.5, "1.png": None}


def test_predictions_of_label_studio_come_with_their_scores(place):
    def result(name):
        return [{"type": "choices", "value": {"choices": [name]}, "from_name": "c", "to_name": "i"}]

    predicted = {"result": result("cat"), "score": 0.25}
    tasks = [{"data": {"image": "0.png"}, "predictions": [predicted], "annotations": [{"result": result("Cat")}]}]
    take(place, json.dumps(tasks), "tasks.json")
    assert stored(place) == {"0.png": ("cat", 0.25, "tasks.json")}


@pytest.fixture
def client(instance):
    app = create_app(instance)
    app.config["WTF_CSRF_ENABLED"] = False
    return app.test_client()


def ask(client):
    """The next two images with their suggestions, as the label page gets them."""
    return client.post("/api/next", json={"tab": "t", "count": 2, "have": []}).json["items"]


def suggest_for_all(db, class_id=1):
    with store.write(db):
        for (image,) in db.execute("SELECT id FROM images").fetchall():
            suggestions.put(db, image, suggestions.Suggested(class_id, 0.5, "p.csv"))


def test_the_page_shows_it_with_its_file_and_the_label_says_that_it_was_shown(client, db):
    suggest_for_all(db)
    first = ask(client)[0]
    assert {key: first["suggestion"][key] for key in ("class", "confidence", "model", "origin")} == {
        "class": 1, "confidence": 0.5, "model": None, "origin": "p.csv",
    }  # fmt: skip
    body = {
        "tab": "t",
        "uuid": "u",
        "image": first["image"],
        "kind": "label",
        "class": 2,
        "suggested": 1,
        "shown": True,
    }
    assert client.post("/api/label", json=body | {"suggested": 1, "shown": True}).json["ok"]
    sql = "SELECT class_id, suggested_id, suggestion_shown, model FROM labels"
    assert db.execute(sql).fetchall() == [(2, 1, 1, None)]


def test_audit_images_and_retired_classes_have_none(client, db):
    suggest_for_all(db)
    with store.write(db):
        db.execute("UPDATE images SET audit = 1")
    assert [item["suggestion"] for item in ask(client)] == [None, None]
    with store.write(db):
        db.execute("UPDATE images SET audit = 0")
        db.execute("UPDATE classes SET retired = 1 WHERE id = 1")
    assert [item["suggestion"] for item in ask(client)] == [None, None]


def test_a_model_of_the_project_takes_over(learned):
    with closing(store.connect(learned / store.FILE)) as db:
        suggest_for_all(db)
    app = create_app(learned)
    app.config["WTF_CSRF_ENABLED"] = False
    assert all(item["suggestion"]["model"] == 1 for item in ask(app.test_client()))
