"""The web application through Flask's test client, on a real store."""

import io
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from PIL import Image

from annotator import create_app, security
from annotator.errors import AnnotatorError
from annotator.pages import PAGES
from annotator.store import db as store

CHANGING = ["/api/label", "/api/next", "/api/release", "/api/heartbeat", "/api/learner/pause", "/api/settings"]
CHANGING += ["/api/classes/preview", "/api/classes/change"]
CHANGING += ["/api/rescan", "/api/upload"]
HOSTILE = '<img src=x onerror="alert(1)">'


class Browser:
    """A test client that knows the CSRF token and its tab."""

    def __init__(self, client: FlaskClient) -> None:
        self.client, self.tab = client, "tab-1"
        self.token = client.get("/api/csrf").json["csrf"]

    def post(self, path: str, body: object, **headers: str):
        return self.client.post(path, json=body, headers={"X-CSRFToken": self.token, **headers})

    def next(self, count: int = 1) -> list[dict]:
        return self.post("/api/next", {"tab": self.tab, "count": count, "have": []}).json["items"]

    def say(self, image_id: int, answer_uuid: str = "u1", **more):
        body = {
            "tab": self.tab,
            "uuid": answer_uuid,
            "image": image_id,
            "kind": "label",
            "class": 1,
            "via": "typed",
            "seconds": 1.2,
        }
        return self.post("/api/label", body | more)


@pytest.fixture
def browser(instance: Path) -> Browser:
    return Browser(create_app(instance).test_client())


READING = ["/", "/progress", "/classes", "/settings", "/files", "/api/status", "/api/progress", "/api/history"]
READING += ["/api/classes", "/api/classes/all", "/export", "/api/export", "/review", "/api/review/1"]
READING += ["/api/examples?class=1"]


@pytest.mark.parametrize("path", READING)
def test_every_page_answers(browser, path):
    assert browser.client.get(path).status_code == 200


def test_every_page_of_the_menu_is_tested_above(browser):
    html = browser.client.get("/").text
    assert [title for page in PAGES.values() if (title := page.title) and title not in html] == []


def test_from_image_to_label(browser):
    (item,) = browser.next()
    with browser.client.get(item["url"]) as picture:
        assert Image.open(io.BytesIO(picture.data)).size == (12, 12)
    assert browser.say(item["image"]).json == {"ok": True, "duplicate": False}
    (decision,) = browser.client.get("/api/history").json["history"]
    assert (decision["image"], decision["kind"], decision["class"]) == (item["image"], "label", 1)
    assert browser.client.get("/api/status").json["status"]["labels"] == 1


def test_answers_wait_for_the_disk_and_leases_do_not(browser, monkeypatch):
    durable, begin = [], store.write
    monkeypatch.setattr(store, "write", lambda db, **how: durable.append(how.get("durable", True)) or begin(db, **how))
    (item,) = browser.next()
    browser.post("/api/heartbeat", {"tab": browser.tab, "images": [item["image"]]})
    browser.say(item["image"])
    assert durable == [False, False, True]


def test_the_same_request_again_changes_nothing(browser):
    (item,) = browser.next()
    browser.say(item["image"])
    again = browser.say(item["image"])
    assert (again.status_code, again.json["duplicate"]) == (200, True)


def test_an_undone_image_is_no_label(browser):
    (item,) = browser.next()
    browser.say(item["image"])
    assert browser.say(item["image"], "u2", kind="undo", undoes="u1").status_code == 200
    assert browser.client.get("/api/history").json["history"] == []
    assert browser.client.get("/api/status").json["status"]["labels"] == 0


def test_a_closed_tab_gives_its_images_back(browser):
    held = {item["image"] for item in browser.next(20)} | {item["image"] for item in browser.next(20)}
    assert browser.next() == []
    browser.post("/api/release", {"tab": browser.tab, "images": None})
    assert {item["image"] for item in browser.next(20)} <= held


def test_with_nothing_left_the_page_says_why(browser):
    for number, item in enumerate(browser.next(20) + browser.next(20)):
        browser.say(item["image"], f"u{number}")
    answer = browser.post("/api/next", {"tab": "t", "count": 1, "have": []}).json
    assert answer["items"] == []
    assert "All 40 images have an answer" in answer["waiting"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"image": "1"}, "'image' must be of type int"),
        ({"image": True}, "'image' must be of type int"),
        ({"image": 10**30}, "'image' is larger"),
        ({"image": 12345}, "no image 12345"),
        ({"kind": "delete"}, "unknown kind 'delete'"),
        ({"class": None}, "'class' must be of type int"),
        ({"class": 99}, "no class 99"),
        ({"uuid": "x" * 65}, "'uuid' is larger than 64"),
        ({"uuid": None}, "'uuid' must be of type str"),
        ({"via": "magic"}, "unknown via 'magic'"),
        ({"seconds": float("nan")}, "'seconds' is larger"),
        ({"kind": "undo", "undoes": "nothing"}, "no answer nothing of yours"),
    ],
)
def test_a_wrong_answer_is_refused_in_one_clear_line(browser, change, named):
    answer = browser.say(1, **change)
    assert answer.status_code in (400, 404)
    assert answer.json["ok"] is False
    assert named in answer.json["error"]
    assert browser.client.get("/api/status").json["status"]["labels"] == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff"])
def test_a_body_that_is_no_object_is_refused(browser, body):
    headers = {"X-CSRFToken": browser.token, "Content-Type": "application/json"}
    assert browser.client.post("/api/label", data=body, headers=headers).status_code == 400


def test_a_huge_body_is_refused(browser):
    assert browser.say(1, "u" * (security.MAX_BODY_BYTES + 1)).status_code == 413


@pytest.mark.parametrize("path", CHANGING)
def test_a_changing_request_without_token_is_refused(browser, path):
    assert browser.client.post(path, json={"tab": "t"}).status_code == 400


def test_every_changing_request_is_tested_above(browser):
    rules = browser.client.application.url_map.iter_rules()
    changing = {rule.rule for rule in rules if rule.methods & {"POST", "PUT", "PATCH", "DELETE"}}
    assert {path for path in changing if path.startswith("/api/")} == set(CHANGING)
    for path in changing - set(CHANGING):  # forms
        path = re.sub(r"<int.*?>", "1", path)
        assert browser.client.post(re.sub("<.*?>", "x", path), data={"name": "x"}).status_code == 400


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", ""])
def test_another_host_name_is_refused(browser, host):
    assert browser.client.get("/api/status", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1:8000", "[::1]:8000"])
def test_loopback_names_are_answered(browser, host):
    assert browser.client.get("/api/status", headers={"Host": host}).status_code == 200


def test_a_page_elsewhere_may_not_change_anything(browser):
    answer = browser.post("/api/next", {"tab": "t", "count": 1}, Origin="http://evil.example")
    assert answer.status_code == 403


def test_the_policy_allows_no_inline_script_or_style(browser):
    answer = browser.client.get("/")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+\s*=|\sstyle\s*=|<style", answer.text)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_hostile_class_name_is_text_everywhere(instance, browser):
    db = store.connect(instance / store.FILE)
    with store.write(db):
        db["classes"].update(1, {"name": HOSTILE})
    for path in ("/", "/progress"):
        assert "<img src=x" not in browser.client.get(path).text
    assert browser.client.get("/api/progress").json["classes"][0]["name"] == HOSTILE


OUTSIDE = ["/image/../secret", "/image/%2e%2e/secret", "/image/1/../../secret", "/static/../secret"]
NO_IDS = ["/static/%2e%2e/pyproject.toml", "/image/-1", "/image/1%00", "/image/abc", "/image/999"]


@pytest.mark.parametrize("path", OUTSIDE + NO_IDS)
def test_images_are_reached_by_id_only(browser, path):
    assert browser.client.get(path).status_code == 404


def test_an_image_whose_file_is_gone_is_a_clear_error(browser, photos):
    for file in photos.iterdir():
        file.unlink()
    answer = browser.client.get("/image/1")
    assert answer.status_code == 404
    assert "no such file" in answer.text.lower()


def test_a_broken_store_is_a_clear_error_and_the_answer_can_come_again(instance, browser):
    (item,) = browser.next()
    (instance / store.FILE).rename(instance / "elsewhere")
    assert browser.say(item["image"]).status_code in (400, 503)
    (instance / "elsewhere").rename(instance / store.FILE)
    assert browser.say(item["image"]).json == {"ok": True, "duplicate": False}


@pytest.mark.parametrize(("answered", "shown"), [(29, False), (30, True)])
def test_an_accuracy_is_shown_from_thirty_audit_answers_on(instance, browser, answered, shown):
    db = store.connect(instance / store.FILE)
    with store.write(db):
        db.execute("UPDATE images SET audit = id <= 35")
        values = {"accuracy": 0.9, "low": 0.8, "high": 0.95, "exam": "audit", "exam_size": answered, "labels": 4}
        db["rounds"].insert({"number": 1, "started": "", "finished": "", "folder": "rounds/1", **values})
    found = browser.client.get("/api/progress").json
    assert (found["status"]["accuracy"] is not None) is shown
    assert (found["rounds"][0]["accuracy"] is not None) is shown


def test_an_audit_of_less_than_thirty_counts_when_it_is_complete(instance, browser):
    db = store.connect(instance / store.FILE)
    with store.write(db):
        db.execute("UPDATE images SET audit = id <= 5")
    assert browser.client.get("/api/status").json["status"]["audit"]["needed"] == 5


def test_pausing_is_remembered(browser):
    browser.post("/api/learner/pause", {"paused": True})
    assert browser.client.get("/api/status").json["status"]["learner"]["paused"] is True


def test_an_error_of_a_page_is_a_page(browser):
    answer = browser.client.get("/nowhere")
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"


def test_the_secret_is_random_and_private(instance, make_instance):
    create_app(instance)
    secret = instance / "secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert len(secret.read_text()) >= 40
    other = make_instance("other")
    assert create_app(other).secret_key != secret.read_text()


class TestRemote:
    """Bound to more than this machine, a browser must come by the link once."""

    @pytest.fixture
    def client(self, instance: Path) -> FlaskClient:
        return create_app(instance, hosts=frozenset({"box"}), token="secret-token").test_client()

    @pytest.mark.parametrize("path", ["/", "/api/status", "/image/1", "/api/csrf", "/?token=wrong", "/?token=%ff"])
    def test_nothing_is_shown_without_the_token(self, client, path):
        assert client.get(path, headers={"Host": "box"}).status_code == 401

    def test_the_link_opens_everything_and_leaves_the_address_bar(self, client):
        first = client.get("/?token=secret-token")
        assert (first.status_code, first.location) == (302, "/")
        assert client.get("/api/status").status_code == 200

    def test_an_address_is_a_fine_host_and_a_foreign_name_is_not(self, client):
        assert client.get("/?token=secret-token", headers={"Host": "192.0.2.7:8000"}).status_code == 302
        assert client.get("/?token=secret-token", headers={"Host": "evil.example"}).status_code == 403


def test_an_instance_without_a_project_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(AnnotatorError, match="annotator demo"):
        create_app(tmp_path)
