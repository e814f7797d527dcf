"""The review page and its requests through Flask's test client."""

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from annotator import create_app
from annotator.pages import review
from annotator.store import db as store
from learner.features.cache import Cache

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture
def client(instance: Path) -> FlaskClient:
    return create_app(instance).test_client()


def say(client: FlaskClient, image: int, uuid: str, **more: Any) -> Any:
    body = {"tab": "t", "uuid": uuid, "image": image, "kind": "label", "class": 1, "review": True}
    headers = {"X-CSRFToken": client.get("/api/csrf").json["csrf"]}
    return client.post("/api/label", json=body | more, headers=headers)


def shown(client: FlaskClient, address: str) -> list[dict[str, Any]]:
    """What the cells of a page stand for."""
    text = client.get(address).text
    return [json.loads(html.unescape(item)) for item in re.findall(r"data-item='([^']*)'", text)]


def link(client: FlaskClient, address: str, rel: str) -> str | None:
    """The address of the next or previous page."""
    found = re.search(f'rel="{rel}" href="([^"]+)"', client.get(address).text)
    return html.unescape(found[1]) if found else None


def test_a_correction_is_shown_with_its_history(client):
    assert say(client, 3, "u1", review=False).json["ok"]
    assert say(client, 3, "u2", **{"class": 2}).json == {"ok": True, "duplicate": False}
    assert say(client, 3, "u2", **{"class": 2}).json["duplicate"] is True
    answer = client.get("/api/review/3").json
    assert (answer["item"]["status"], answer["item"]["class"]) == ("labeled", 2)
    assert [(row["source"], row["class_id"], row["undone"]) for row in answer["history"]] == [
        ("tail", 1, None), ("review", 2, None),
    ]  # fmt: skip
    say(client, 3, "u3", kind="undo", undoes="u2")
    answer = client.get("/api/review/3").json
    assert (answer["item"]["class"], answer["history"][1]["undone"] is not None) == (1, True)


def test_the_address_is_the_filter(client):
    say(client, 3, "u1")
    say(client, 4, "u2", kind="flag")
    assert [item["image"] for item in shown(client, "/review?status=labeled&class=1")] == [3]
    assert [item["image"] for item in shown(client, "/review?status=flagged")] == [4]
    assert shown(client, "/review?status=labeled&class=2") == []
    assert shown(client, "/review?source=review&person=1&low=&round=")[0]["status"] == "flagged"
    assert "No image fits" in client.get("/review?name=nowhere").text


def test_whoever_comes_back_to_a_page_gets_it_anew(client):
    assert client.get("/review").headers["Cache-Control"] == "no-store"


def test_links_lead_through_all_pages_and_back(client, monkeypatch):
    monkeypatch.setattr(review, "PAGE", 15)
    address, met = "/review?sort=name&status=unlabeled", []
    while address:
        met.append([item["image"] for item in shown(client, address)])
        last, address = address, link(client, address, "next")
    assert [len(page) for page in met] == [15, 15, 10]
    names = [item["names"][0] for item in shown(client, last)]
    assert names == sorted(names) == [f"{number}-{'dog' if number % 2 else 'cat'}.png" for number in range(30, 40)]
    middle = link(client, last, "prev")
    assert [item["image"] for item in shown(client, middle)] == met[1]
    assert "status=unlabeled" in middle
    first = client.get(link(client, middle, "prev"))
    assert (first.status_code, first.location) == (302, "/review?sort=name&status=unlabeled")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=lost", "unknown status &#39;lost&#39;; choose from labeled"),
        ("source=moon", "unknown source"),
        ("sort=size", "unknown sort"),
        ("class=cat", "class &#39;cat&#39; is no number"),
        ("round=-1", "round &#39;-1&#39; is no number between 0 and"),
        ("low=nan", "low &#39;nan&#39; is no number between 0 and 1"),
        ("high=2", "high &#39;2&#39; is no number between 0 and 1"),
        ("after=here", "no place in this order"),
        ("sort=wrong&after=1~x", "no place in this order"),
        ("person=" + "9" * 30, "is no number between"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused_in_one_clear_line(client, query, named):
    answer = client.get(f"/review?{query}")
    assert answer.status_code == 400
    assert named in answer.text


@pytest.mark.parametrize(
    "query",
    ["after=9~" + "9" * 40, "after=" + "9" * 40 + "~1", "sort=wrong&after=1~nan", "sort=wrong&before=1~inf",
     "sort=name&after=1~%00", "name=" + "%25" * 300, "name=%00", "sort=name&after=1~%ff", "name=%f0%9f%90%88"],
)  # fmt: skip
def test_whatever_the_address_holds_the_page_answers(client, query):
    assert client.get(f"/review?{query}").status_code in (200, 302)


def test_hostile_names_are_text(instance, client):
    db = store.connect(instance / store.FILE)
    with store.write(db):
        db["classes"].update(1, {"name": HOSTILE})
        db["files"].update(1, {"name": HOSTILE})
    say(client, 1, "u1")
    text = client.get("/review").text
    assert "<img src=x" not in text
    assert html.unescape(text).count(HOSTILE) >= 3


def test_what_the_last_round_thinks_is_there(learned):
    client = create_app(learned).test_client()
    item = shown(client, "/review?status=labeled&sort=wrong")[0]
    answer = client.get(f"/api/review/{item['image']}").json
    assert answer["item"]["model"] == 1
    assert answer["probs"][0]["class"] == item["predicted"]
    assert sum(row["probability"] for row in answer["probs"]) == pytest.approx(1, abs=1e-5)


def test_predictions_that_vanish_take_only_the_models_opinion_with_them(learned):
    client = create_app(learned).test_client()
    before = [item["image"] for item in shown(client, "/review?status=labeled")]
    for file in learned.glob("rounds/*/predictions.db"):
        file.unlink()
    after = shown(client, "/review?status=labeled")
    assert ([item["image"] for item in after], {item["predicted"] for item in after}) == (before, {None})


def test_more_like_this_are_the_nearest_embeddings(instance, client):
    assert "More like this" not in client.get("/review").text
    db = store.connect(instance / store.FILE)
    hashes = dict(db.execute("SELECT id, sha256 FROM images").fetchall())
    kept = Cache(instance / "features", {"name": "angle"}, 2)
    images = [5, 9, 2, 30]  # ever further from 5
    angles = np.array([0.0, 0.1, -0.2, 0.9])
    keys = [bytes.fromhex(hashes[image]) for image in images]
    kept.add(keys, np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32))
    kept.close()
    assert "More like this" in client.get("/review").text
    assert [item["image"] for item in shown(client, "/review?like=5")] == images
    assert [item["image"] for item in shown(client, "/review?like=1")] == [1]
    assert client.get("/review?like=999").status_code == 404


@pytest.mark.parametrize("path", ["/api/review/999", "/api/review/-1", "/api/review/x"])
def test_an_unknown_image_is_not_found(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("value", ["yes", 1, []])
def test_a_review_that_is_no_truth_value_is_refused(client, value):
    answer = say(client, 1, "u1", review=value)
    assert (answer.status_code, "'review' must be of type bool" in answer.json["error"]) == (400, True)
