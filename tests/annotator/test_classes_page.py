"""The classes page and what label pages hear of it, through Flask's test client."""

from pathlib import Path

import pytest
from test_pages import HOSTILE, Browser

from annotator import create_app
from annotator.store import db as store
from annotator.store import project


@pytest.fixture
def browser(instance: Path) -> Browser:
    return Browser(create_app(instance).test_client())


def change(browser: Browser, action: str, **values):
    return browser.post("/api/classes/change", {"action": action, **values})


def offered(browser: Browser) -> list[str]:
    return [row["name"] for row in browser.client.get("/api/classes").json["classes"]]


def version(browser: Browser) -> int:
    return browser.client.get("/api/status").json["status"]["classes"]


def test_a_class_is_added_previewed_and_named_in_the_history(browser):
    wanted = {"action": "add", "name": HOSTILE, "guidance": "One sentence.", "colour": "#AA0000"}
    said = browser.post("/api/classes/preview", wanted).json["says"]
    assert offered(browser) == ["cat", "dog"]
    before = version(browser)
    answer = browser.post("/api/classes/change", wanted).json
    assert answer["says"] == said
    assert answer["changes"][0]["text"] == f"{HOSTILE!r} added"
    assert answer["rows"][-1] | {"id": 3} == {
        "id": 3, "name": HOSTILE, "key": "3", "colour": "#aa0000", "guidance": "One sentence.",
        "retired": None, "merged_into": None, "into_name": None, "labels": 0,
    }  # fmt: skip
    assert offered(browser) == ["cat", "dog", HOSTILE]
    assert version(browser) > before
    for path in ("/", "/classes"):
        assert "<img src=x" not in browser.client.get(path).text


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "'action' must be of type str"),
        ({"action": "explode"}, "unknown action"),
        ({"action": "edit", "class": "1", "name": "x"}, "'class' must be of type int"),
        ({"action": "edit", "class": 2**63, "name": "x"}, "'class' is larger"),
        ({"action": "edit", "class": 99, "name": "x"}, "no class 99"),
        ({"action": "edit", "class": 1, "name": ["x"]}, "'name' must be of type str"),
        ({"action": "edit", "class": 1, "name": "\u202e"}, "do not print"),
        ({"action": "edit", "class": 1, "key": "<script>"}, "cannot be the key"),
        ({"action": "merge", "class": 1, "into": 2}, "needs 2 classes"),
    ],
)
def test_a_wrong_change_is_refused_in_one_clear_line(browser, body, named):
    for path in ("/api/classes/preview", "/api/classes/change"):
        answer = browser.post(path, body)
        assert answer.status_code in (400, 404)
        assert named in answer.json["error"]
        assert "\n" not in answer.json["error"]
    assert offered(browser) == ["cat", "dog"]


def test_an_answer_for_a_class_that_was_merged_meanwhile_is_stored_and_counts(browser):
    change(browser, "add", name="owl")
    (item,) = browser.next()
    change(browser, "merge", **{"class": 3, "into": 1})
    assert browser.say(item["image"], **{"class": 3}).json == {"ok": True, "duplicate": False}
    (decision,) = browser.client.get("/api/history").json["history"]
    assert decision["class"] == 1
    counts = {row["name"]: row["labels"] for row in browser.client.get("/api/progress").json["classes"]}
    assert counts == {"cat": 1, "dog": 0}


def test_an_answer_for_a_class_that_was_retired_meanwhile_is_stored_and_waits(browser):
    change(browser, "add", name="owl")
    (item,) = browser.next()
    change(browser, "retire", **{"class": 3})
    assert browser.say(item["image"], **{"class": 3}).json == {"ok": True, "duplicate": False}
    status = browser.client.get("/api/status").json["status"]
    assert (status["labels"], status["pool"]) == (0, status["images"] - 1)
    boot = browser.client.get("/api/classes").json
    assert boot["names"]["3"] == "owl"
    change(browser, "restore", **{"class": 3})
    assert browser.client.get("/api/status").json["status"]["labels"] == 1


def test_an_audit_image_asked_again_still_has_no_suggestion(learned):
    browser = Browser(create_app(learned).test_client())
    db = store.connect(learned / store.FILE)
    (image,) = db.execute("SELECT image_id FROM answers WHERE kind = 'label' AND class_id = 1 LIMIT 1").fetchone()
    with store.write(db):
        db.execute("UPDATE images SET audit = 1 WHERE id = ?", [image])
    change(browser, "ask", **{"class": 1})
    items = {item["image"]: item for item in browser.next(20)}
    assert items[image]["source"] == "second_look"
    assert items[image]["suggestion"] is None
    others = [item for item in items.values() if item["source"] == "second_look" and item["image"] != image]
    assert all(item["suggestion"] for item in others)
    assert others


def test_suggestions_are_in_the_classes_of_now(learned):
    browser = Browser(create_app(learned).test_client())
    change(browser, "add", name="owl")
    change(browser, "merge", **{"class": 2, "into": 3})
    (item,) = browser.next()
    assert {item["suggestion"]["class"], item["suggestion"]["second"]} == {1, 3}
    assert set(item["suggestion"]["probs"]) == {"1", "3"}


def test_a_project_without_classes_yet_shows_its_page(make_instance):
    instance = make_instance("empty")
    db = store.connect(instance / store.FILE)
    with store.write(db):
        db.execute("DELETE FROM class_changes")
        db.execute("DELETE FROM classes")
    assert project.classes(db) == []
    browser = Browser(create_app(instance).test_client())
    assert browser.client.get("/classes").status_code == browser.client.get("/").status_code == 200
