"""How many people are asked: on the Settings page, on the command line, and in the queue at once."""

from pathlib import Path

import pytest
from test_pages import Browser

from annotator import create_app
from annotator.serving import found
from annotator.store import db as store
from annotator.store import overlap, project, queue


@pytest.fixture
def browser(instance: Path) -> Browser:
    return Browser(create_app(instance).test_client())


def save(browser: Browser, **together: str):
    return browser.post("/api/settings", {"method": "auto", "strategy": "margin", "together": together})


def test_what_is_saved_is_asked_at_once(browser, db):
    (item,) = browser.next()
    browser.say(item["image"])
    assert queue.slot_of(db, item["image"]) is None
    assert save(browser, overlap="2", overlap_share="1").json["ok"]
    assert overlap.people(db) == 2
    assert queue.slot_of(db, item["image"])["asked"] != ""
    assert 'name="overlap" value="2"' in browser.client.get("/settings").text


def test_what_is_left_out_is_one_person_again(browser, db):
    save(browser, overlap="3")
    save(browser)
    assert project.facts(db)["together"] == {}
    assert overlap.people(db) == 1


@pytest.mark.parametrize(
    ("together", "said"),
    [
        ({"overlap": "0"}, "lies from 1 to 100"),
        ({"overlap": "two"}, "must be of type int"),
        ({"overlap_share": "2"}, "lies from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(browser, db, together, said):
    answer = save(browser, **together)
    assert (answer.status_code, said in answer.json["error"]) == (400, True)
    assert overlap.people(db) == 1


def test_the_command_line_wins_over_the_project_and_keeps_what_it_does_not_say(instance, photos, db):
    found(instance, "photos", photos, [], {"together": {"overlap": 3, "overlap_share": 0.5}})
    found(instance, "photos", photos, [], {"together": {"overlap": 2}})
    assert project.facts(db)["together"] == {"overlap": 2, "overlap_share": 0.5}


def test_the_label_page_says_what_it_waits_for(browser):
    save(browser, overlap="2")
    for number, item in enumerate(browser.next(20) + browser.next(20)):
        browser.say(item["image"], f"u{number}")
    answer = browser.post("/api/next", {"tab": "t", "count": 1, "have": []}).json
    assert answer["items"] == []
    assert "40 images wait for somebody else's" in answer["waiting"]


def test_nothing_on_the_label_page_says_what_others_answered(browser, db):
    save(browser, overlap="2")
    with store.write(db):
        bob = project.person_id(db, "bob")
        (slot,) = queue.claim(db, "bob's", bob, 1, 0.0)
        answer = {"uuid": "b", "image_id": slot["image_id"], "kind": "label", "class_id": 2, "person_id": bob}
        db["labels"].insert(answer | {"source": "query", "via": "typed", "created": "now"})
        overlap.follow(db)
    keys = {"image", "url", "width", "height", "source", "round", "strategy", "suggestion"}
    items = browser.next(20) + browser.next(20)
    assert slot["image_id"] in {item["image"] for item in items}
    assert all(set(item) == keys for item in items)
    assert browser.client.get("/api/history").json["history"] == []
