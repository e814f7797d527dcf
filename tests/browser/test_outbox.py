"""An answer given is never lost, never doubled, and never holds up the next image."""

from pathlib import Path

import pytest
from browsing import Labeler, Problems, Server, answers, photo_truth, read, read_truth
from live import Live
from playwright.sync_api import BrowserContext, Route

REFUSAL = {"status": 422, "json": {"ok": False, "error": "there is no such class"}}


@pytest.fixture
def server(photos: Path, tmp_path: Path) -> Server:
    return Server(photos, tmp_path / "instance", "cat,dog", "--no-learner")


def test_answers_given_while_the_server_is_down_arrive(
    context: BrowserContext, server: Server, tmp_path: Path, problems: Problems
) -> None:
    with server:
        labeler = Labeler(context.new_page(), server.url, {}).open()
        labeler.truth = photo_truth(tmp_path / "instance")
        asked = labeler.answer_truly(2)
        labeler.saved()
        labeler.page.wait_for_selector("[data-boot]:not([data-queue='0']):not([data-queue='1'])")
    asked += labeler.answer_truly(2)
    labeler.until(outbox="offline", kept="2")
    assert "offline (2 kept)" in labeler.page.inner_text("#outbox")
    with server:
        labeler.saved()
        problems.clear()  # it was down, and the page said so
        stored = answers(tmp_path / "instance")
        assert stored == {image: {"1": "cat", "2": "dog"}[labeler.truth[image]] for image in asked}
        labeler.page.close()


def test_a_refused_answer_is_kept_and_shown_and_holds_up_nothing(
    labeler: Labeler, demo: Path, problems: Problems
) -> None:
    labeler.page.route("**/api/label", lambda route: route.fulfill(**REFUSAL), times=1)
    refused, stored = labeler.answer_truly(2)
    labeler.saved()
    problems.clear()
    assert stored in answers(demo)
    assert refused not in answers(demo)
    labeler.page.click("#outbox")
    assert f"Image {refused}, label: there is no such class" in labeler.page.inner_text("#outbox-aside li")
    labeler.page.click("#outbox-retry")
    labeler.until(outbox="saved", aside="0", kept="0")
    assert refused in answers(demo)


def test_a_token_that_expired_is_renewed(labeler: Labeler, demo: Path, problems: Problems) -> None:
    labeler.page.context.clear_cookies()
    (image,) = labeler.answer_truly(1)
    labeler.saved()
    assert image in answers(demo)
    assert problems
    problems.clear()  # the refusal of the old token is in the console


def test_an_answer_whose_reply_was_lost_is_stored_once(labeler: Labeler, demo: Path, problems: Problems) -> None:
    def lose_reply(route: Route) -> None:
        route.fetch()
        route.abort()

    labeler.page.route("**/api/label", lose_reply, times=1)
    (image,) = labeler.answer_truly(1)
    labeler.until(outbox="offline", kept="1")
    labeler.saved()
    problems.clear()
    assert read(demo / "labels.db", "SELECT count(*) FROM labels WHERE image_id = ?", image) == [(1,)]


def test_answers_of_a_closed_tab_are_sent_by_the_next_one(
    labeler: Labeler, live: Live, demo: Path, problems: Problems
) -> None:
    labeler.page.route("**/api/label", lambda route: route.abort())
    (image,) = labeler.answer_truly(1)
    labeler.until(outbox="offline", kept="1")
    context = labeler.page.context
    labeler.page.close()
    problems.clear()
    next_tab = Labeler(context.new_page(), live.url, read_truth(demo)).open()
    next_tab.saved()
    assert answers(demo)[image] == labeler.truth[image]


def test_two_tabs_do_not_double_an_answer(labeler: Labeler, live: Live, demo: Path) -> None:
    other = Labeler(labeler.page.context.new_page(), live.url, read_truth(demo)).open()
    sent: list[str] = []
    labeler.page.context.on("request", lambda request: request.url.endswith("/api/label") and sent.append(request.url))
    images = [tab.answer_truly(1)[0] for tab in (labeler, other, labeler, other)]
    labeler.saved()
    other.saved()
    assert len(sent) == len(images) == len(set(images))
