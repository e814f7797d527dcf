"""A no of the server: what waits for another answer, what a person has to look at, and what it says."""

import time
from pathlib import Path

import pytest
from browsing import Labeler, Problems, Server, answers, read
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from live import Live
from playwright.sync_api import BrowserContext, Route

HOURS = 5 * 3600  # s; a token lives for one hour


class HoursAgo(TimestampSigner):
    def get_timestamp(self) -> int:
        return int(time.time()) - HOURS


@pytest.fixture
def server(photos: Path, tmp_path: Path) -> Server:
    return Server(photos, tmp_path / "instance", "cat,dog", "--no-learner")


def old_token(labeler: Labeler, demo: Path) -> str:
    """A token that this server gave this browser hours ago."""
    app = Flask("same secret")
    app.secret_key = secret = (demo / "secret").read_text().strip()
    (cookie,) = [each for each in labeler.page.context.cookies() if each["name"].startswith("annotator-")]
    session = SecureCookieSessionInterface().get_signing_serializer(app).loads(cookie["value"])  # type: ignore[union-attr]
    return str(URLSafeTimedSerializer(secret, salt="wtf-csrf-token", signer=HoursAgo).dumps(session["csrf_token"]))


def test_a_token_that_expired_is_renewed(labeler: Labeler, live: Live, demo: Path, problems: Problems) -> None:
    token = old_token(labeler, demo)

    def with_old_token(route: Route) -> None:
        page = route.fetch().text()
        fresh = page.split('name="csrf-token" content="')[1].split('"')[0]
        route.fulfill(body=page.replace(fresh, token), content_type="text/html")

    labeler.page.route(live.url, with_old_token)
    with labeler.page.expect_response(lambda answer: answer.status == 400) as refusal:
        labeler.open()
    assert refusal.value.json() == {"ok": False, "error": "The CSRF token has expired.", "code": "stale-token"}
    (image,) = labeler.answer_truly(1)
    labeler.saved()
    assert image in answers(demo)
    problems.clear()


def test_a_session_that_is_gone_is_renewed(labeler: Labeler, demo: Path, problems: Problems) -> None:
    labeler.page.context.clear_cookies()
    (image,) = labeler.answer_truly(1)
    labeler.saved()
    assert image in answers(demo)
    assert any(problem.startswith("400") for problem in problems)
    problems.clear()


@pytest.mark.long
def test_a_server_with_another_secret_gets_the_answer(
    context: BrowserContext, server: Server, tmp_path: Path, problems: Problems
) -> None:
    with server:
        labeler = Labeler(context.new_page(), server.url, {}).open()
    (tmp_path / "instance" / "secret").unlink()
    image = labeler.press("1")
    labeler.until(outbox="offline", kept="1")
    with server:
        labeler.saved()
        assert answers(tmp_path / "instance") == {image: "cat"}
        labeler.page.close()
    problems.clear()


PASSING = [
    (200, "<h1>Log in to the hotel's network</h1>", "the server answered 200"),
    (401, '{"ok": false, "error": "this project is private"}', "this project is private"),
    (404, "<h1>nginx</h1>", "the server answered 404"),
    (413, "null", "the server answered 413"),
    (503, '{"ok": false, "error": "the disk is full"}', "the disk is full"),
]


@pytest.mark.parametrize(("status", "body", "reason"), PASSING)
def test_an_answer_waits_while_nobody_can_take_it(
    labeler: Labeler, demo: Path, problems: Problems, status: int, body: str, reason: str
) -> None:
    labeler.page.route("**/api/label", lambda route: route.fulfill(status=status, body=body))
    (image,) = labeler.answer_truly(1)
    labeler.badge("waiting (1 kept)")
    labeler.page.wait_for_selector(f"#said:has-text('{reason}')")
    assert reason in labeler.page.inner_text("#said")
    labeler.page.click("#outbox")
    assert reason in labeler.page.inner_text("#outbox-long")
    labeler.page.unroute("**/api/label")
    labeler.page.click("#outbox-retry")
    labeler.saved()
    problems.clear()
    assert answers(demo)[image] == labeler.truth[image]


@pytest.mark.long
@pytest.mark.parametrize("status", [400, 404, 409, 410])
def test_a_lasting_refusal_is_set_aside_and_can_be_sent_again(
    labeler: Labeler, demo: Path, problems: Problems, status: int
) -> None:
    refusal = {"ok": False, "error": f"no, and that is final: {status}"}
    labeler.page.route("**/api/label", lambda route: route.fulfill(status=status, json=refusal), times=1)
    (image,) = labeler.answer_truly(1)
    labeler.badge("saved · 1 set aside")
    labeler.open()  # a reload forgets neither the answer nor the reason
    labeler.badge("saved · 1 set aside")
    labeler.page.click("#outbox")
    assert f"Image {image}, label: {refusal['error']}" in labeler.page.inner_text("#outbox-aside li")
    assert image not in answers(demo)
    labeler.page.click("#outbox-retry")
    labeler.badge("saved")
    labeler.until(outbox="saved", aside="0")
    problems.clear()
    assert answers(demo)[image] == labeler.truth[image]


@pytest.mark.long
def test_a_browser_that_is_not_known_any_more_keeps_the_answer_until_the_link_is_opened_again(
    context: BrowserContext, photos: Path, tmp_path: Path, problems: Problems
) -> None:
    instance = tmp_path / "instance"
    with Server(photos, instance, "cat,dog", "--no-learner", "--host", "0.0.0.0", "--allow-remote") as server:
        here = f"http://127.0.0.1:{server.port}/"
        link = f"{here}?token={(instance / 'token').read_text().strip()}"
        labeler = Labeler(context.new_page(), link, {}).open()
        context.clear_cookies()
        image = labeler.press("1")
        labeler.until(outbox="refused", kept="1")
        labeler.badge("waiting (1 kept)")
        assert "this project is private; log in, or open the link" in labeler.page.inner_text("#said")
        assert answers(instance) == {}
        other = context.new_page()
        assert other.goto(here).status == 401  # type: ignore[union-attr]
        other.goto(link.replace("?", "progress?"))
        labeler.saved()
        assert answers(instance) == {image: "cat"}
        other.close()
        labeler.page.close()
    problems.clear()


@pytest.mark.long
def test_answers_of_one_project_are_never_stored_in_another_at_the_same_address(
    context: BrowserContext, photos: Path, tmp_path: Path, problems: Problems
) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    server = Server(photos, mine, "cat,dog", "--no-learner")
    with server:
        labeler = Labeler(context.new_page(), server.url, {}).open()
        labeler.page.wait_for_selector("[data-boot][data-queue='5']")
    stranger = Server(photos, other, "cat,dog", "--no-learner")
    stranger.port = server.port
    with stranger:
        asked = [labeler.press("2") for _ in range(3)]
        labeler.until(outbox="refused", kept="3")
        labeler.page.wait_for_selector("#outbox-long:has-text(\"belongs to the project 'photos'\")", state="attached")
        labeler.press("2")
        labeler.press("2")
        labeler.page.keyboard.press("2")
        labeler.page.wait_for_selector("#empty-text:has-text('this address now belongs')")  # it asks none of its images
        assert read(other / "labels.db", "SELECT count(*) FROM labels") == [(0,)]
        assert read(other / "labels.db", "SELECT count(*) FROM queue WHERE tab IS NOT NULL") == [(0,)]
        guest = Labeler(context.new_page(), stranger.url, {}).open()
        guest.saved()  # the other project's own page does not send them either
        guest.page.close()
        assert read(other / "labels.db", "SELECT count(*) FROM labels") == [(0,)]
    with server:
        labeler.saved()
        stored = answers(mine)
        assert len(stored) == 6
        assert {stored[image] for image in asked} == {"dog"}
        labeler.page.close()
    problems.clear()
