"""The review page: find, look closely, correct with the keys, take it back, and come back to where one was."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Labeler, Problems, Server, read
from live import Live
from playwright.sync_api import Browser, BrowserContext, Page

NAMES = [f"{number:02d}-{'dog' if number % 2 else 'cat'}.png" for number in range(40)]


class Reviewer:
    """Somebody at the keyboard of the review page."""

    def __init__(self, page: Page, url: str, instance: Path) -> None:
        self.page, self.url, self.instance = page, url, instance
        self.before = len(read(instance / "labels.db", "SELECT 1 FROM labels"))

    def open(self, query: str) -> "Reviewer":
        self.page.goto(f"{self.url}review?{query}")
        self.page.wait_for_selector("[data-ready]")
        return self

    def start(self, number: int) -> "Reviewer":
        """The photos from this number on, of which each test has its own."""
        return self.open(f"sort=name&after=0~{number:02d}")

    def press(self, *keys: str) -> "Reviewer":
        for key in keys:
            self.page.keyboard.press(key)
        return self

    def saved(self) -> "Reviewer":
        self.page.wait_for_selector("main[data-outbox=saved][data-kept='0']")
        return self

    def chosen(self) -> str:
        return self.page.locator(".cell[aria-current] img").get_attribute("alt") or ""

    def said(self) -> str:
        return self.page.locator("#said").text_content() or ""

    def caption(self, name: str, text: str) -> None:
        """Wait until the cell of an image says this."""
        self.page.wait_for_selector(f".cell:has(img[alt='{name}']) .verdict:text-is('{text}')")

    def names(self) -> list[str]:
        return [each.get_attribute("alt") or "" for each in self.page.locator(".cell img").all()]

    def stored(self) -> list[tuple[str, str | None, str]]:
        """(kind, class, source) of every answer of this test, oldest first."""
        sql = "SELECT kind, name, source FROM labels LEFT JOIN classes ON classes.id = class_id ORDER BY labels.id"
        return read(self.instance / "labels.db", sql)[self.before :]  # type: ignore[return-value]


@pytest.fixture(scope="module")
def instance_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("review") / "instance"


@pytest.fixture(scope="module")
def server(photos_once: Path, instance_once: Path) -> Iterator[Server]:
    with Server(photos_once, instance_once, "cat,dog", "--no-learner") as started:
        complete = "SELECT 1 FROM processes WHERE name = 'import' AND activity = 'complete'"
        while not read(instance_once / "labels.db", complete):
            time.sleep(0.1)
        yield started


@pytest.fixture
def reviewer(context: BrowserContext, server: Server, instance_once: Path) -> Iterator[Reviewer]:
    found = Reviewer(context.new_page(), server.url, instance_once)
    yield found
    found.page.close()


def test_arrows_choose_and_class_keys_correct(reviewer: Reviewer) -> None:
    assert reviewer.start(0).names() == NAMES
    reviewer.press("2")
    assert "Choose an image first" in reviewer.said()
    reviewer.press("ArrowRight", "ArrowRight", "2")
    reviewer.caption("01-dog.png", "dog")
    assert reviewer.said() == "Corrected 01-dog.png: dog"
    columns = len({round(cell.bounding_box()["x"]) for cell in reviewer.page.locator(".cell").all()})  # type: ignore[index]
    reviewer.press("ArrowDown", "u", "ArrowUp", "ArrowLeft", "ArrowLeft", "f")
    reviewer.caption(NAMES[1 + columns], "unsure")
    reviewer.caption("00-cat.png", "flagged")
    reviewer.saved()
    assert reviewer.stored() == [("label", "dog", "review"), ("unsure", None, "review"), ("flag", None, "review")]


def test_corrections_are_taken_back_one_after_the_other(reviewer: Reviewer) -> None:
    reviewer.start(20).press("ArrowRight", "1", "ArrowRight", "2", "Backspace")
    reviewer.caption("21-dog.png", "unlabeled")
    reviewer.press("ArrowRight", "Control+z")
    assert reviewer.chosen() == "20-cat.png"
    assert reviewer.said() == "Taken back: 20-cat.png is unlabeled again"
    reviewer.press("Backspace")
    assert "no correction" in reviewer.said()
    reviewer.saved()
    assert [kind for kind, *_ in reviewer.stored()] == ["label", "label", "undo", "undo"]
    assert reviewer.open("status=unlabeled&name=20-").names() == ["20-cat.png"]


def test_a_close_look_shows_the_history_and_corrects(reviewer: Reviewer) -> None:
    reviewer.start(24).press("ArrowRight", "2", "Enter")
    page = reviewer.page
    page.wait_for_selector("#detail[open] #detail-history strong:text-is('dog')")
    assert page.locator("#detail-name").text_content() == "24-cat.png"
    reviewer.press("1")
    page.wait_for_selector("#detail-history li:nth-child(2) strong:text-is('cat')")
    assert page.locator(".class[aria-pressed=true] .name").text_content() == "cat"
    reviewer.press("Backspace")
    page.wait_for_selector("#detail-history li:nth-child(2) del:text-is('cat')")
    page.wait_for_selector("#detail-history :text('taken back')")
    reviewer.press("ArrowRight")
    page.wait_for_selector("#detail-name:text-is('25-dog.png')")
    page.wait_for_selector("#detail-history :text('No answer yet')")
    page.click("#detail [data-command=class] >> text=dog")
    reviewer.caption("25-dog.png", "dog")
    reviewer.press("Escape")
    page.wait_for_selector(".cell[aria-current]:focus:has(img[alt='25-dog.png'])")


def test_a_double_click_only_looks(reviewer: Reviewer) -> None:
    reviewer.start(0).page.dblclick(".cell >> nth=17")
    reviewer.page.wait_for_selector("#detail[open] #detail-history li")
    assert reviewer.stored() == []


@pytest.mark.long
def test_the_filter_is_in_the_address_and_the_back_button_returns(reviewer: Reviewer) -> None:
    page = reviewer.open("sort=name").page
    reviewer.press("End", "2").saved()
    page.click("summary")
    page.fill("#by-name", "dog")
    page.press("#by-name", "Enter")
    page.wait_for_url("**/review?name=dog&sort=name")
    page.wait_for_selector("[data-ready]")
    assert len(reviewer.names()) == 20
    page.press("#by-name", "1")  # typing is no answer
    page.go_back()
    page.wait_for_selector("[data-ready]")
    assert len(reviewer.names()) == 40
    reviewer.caption("39-dog.png", "dog")
    page.click(".ready >> text=labeled >> nth=0")
    page.wait_for_url("**/review?status=labeled")
    assert reviewer.names()[0] == "39-dog.png"
    assert len(reviewer.stored()) == 1


def test_a_correction_without_a_server_is_kept_and_arrives(
    reviewer: Reviewer, server: Server, problems: Problems
) -> None:
    reviewer.start(28)
    server.__exit__()
    reviewer.press("ArrowRight", "2")
    reviewer.caption("28-cat.png", "dog")
    reviewer.page.wait_for_selector("#outbox-short:has-text('1 kept')")
    server.__enter__()
    reviewer.saved()
    assert reviewer.stored() == [("label", "dog", "review")]
    problems.clear()


@pytest.mark.long
def test_the_label_page_delivers_what_the_review_page_left(reviewer: Reviewer, problems: Problems) -> None:
    context = reviewer.start(30).page.context
    context.route("**/api/label", lambda route: route.abort())
    reviewer.press("ArrowRight", "2")
    reviewer.page.wait_for_selector("#outbox-short:has-text('1 kept')")
    context.unroute("**/api/label")
    Labeler(reviewer.page, reviewer.url, {}).open().saved()
    assert reviewer.stored() == [("label", "dog", "review")]
    problems.clear()


@pytest.mark.long
def test_the_models_opinion_can_be_accepted(labeler: Labeler, live: Live, demo: Path) -> None:
    labeler.answer_truly(12)
    labeler.saved()
    live.until("/api/status", lambda answer: answer["status"]["model"])
    reviewer = Reviewer(labeler.page, live.url, demo).open("status=unlabeled&sort=name&low=0")
    reviewer.press("ArrowRight", "Enter")
    reviewer.page.wait_for_selector("#detail-opinion:has-text('thinks')")
    reviewer.press("a").saved()
    row = read(demo / "labels.db", "SELECT class_id, suggested_id, via, source FROM labels ORDER BY id DESC LIMIT 1")[0]
    assert row[0] == row[1]
    assert row[2:] == ("accepted", "review")
    reviewer.press("Backspace").saved()


def test_the_close_look_fits_a_narrow_screen(browser: Browser, server: Server, problems: Problems) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    problems.watch(context)
    page = context.new_page()
    page.goto(server.url + "review?sort=name&after=0~34")
    page.wait_for_selector("[data-ready]")
    page.tap(".cell >> nth=0")
    page.wait_for_selector("#detail[open] #detail-history li")
    assert page.evaluate(
        "document.querySelector('#detail').scrollWidth <= document.querySelector('#detail').clientWidth"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.wait_for_timeout(600)  # the tap that opened it is over: the second half of a double tap answers nothing
    page.tap("#detail [data-command=unsure]")
    page.wait_for_selector("#detail-said:has-text('unsure')")
    page.tap("#detail [data-command=undo]")  # at once, and another button: no double tap
    page.wait_for_selector("#detail-said:has-text('Taken back')")
    context.close()
