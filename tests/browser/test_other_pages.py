"""Progress, files, errors; narrow screens and hostile names."""

from pathlib import Path

import pytest
from browsing import Labeler, Problems, Server
from live import Live
from playwright.sync_api import Browser, BrowserContext

HOSTILE = "<img src=x onerror=alert(1)>"
PAGES = ["", "review", "progress", "classes", "export", "settings", "files", "people"]


@pytest.fixture
def hostile(photos: Path, tmp_path: Path) -> Server:
    (photos / "<b>broken<b>.png").write_bytes(b"no image")
    return Server(photos, tmp_path / "instance", f"{HOSTILE},dog", "--no-learner")


def test_a_hostile_class_name_is_shown_as_text(context: BrowserContext, hostile: Server) -> None:
    with hostile:
        labeler = Labeler(context.new_page(), hostile.url, {}).open()
        labeler.press("1")
        labeler.saved()
        page = labeler.page
        assert page.locator(".class .name").first.text_content() == HOSTILE
        assert labeler.verdicts() == [HOSTILE]
        page.goto(hostile.url + "progress")
        assert page.locator("#classes .name").first.text_content() == HOSTILE
        page.goto(hostile.url + "files")
        assert page.locator("th.file").all_text_contents() == ["<b>broken<b>.png"]
        page.close()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_narrow_dark_screen(browser: Browser, live: Live, problems: Problems, path: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
    problems.watch(context)
    page = context.new_page()
    page.goto(live.url + path)
    page.wait_for_selector("#picture img, #classes tr, .card")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("main h1").count() == 1
    assert page.locator("nav [aria-current=page]").count() == 1
    assert page.locator("[aria-live]").count() <= 1
    context.close()


def test_a_tap_answers(browser: Browser, live: Live, problems: Problems) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    problems.watch(context)
    labeler = Labeler(context.new_page(), live.url, {}).open()
    image = labeler.look()
    labeler.page.tap("[data-command=skip]")
    labeler.look(other_than=image)
    labeler.saved()
    assert labeler.verdicts()[0] == "skipped"
    context.close()


@pytest.mark.long
def test_the_progress_page_shows_the_rounds(labeler: Labeler, live: Live) -> None:
    labeler.answer_truly(12)
    labeler.saved()
    known = live.until("/api/progress", lambda answer: answer["rounds"])
    page = labeler.page
    page.goto(live.url + "progress")
    page.wait_for_selector("#rounds tr")
    assert page.locator("#rounds tr").count() >= len(known["rounds"])
    first = known["rounds"][0]
    assert page.locator("#rounds tr").last.locator("td").nth(1).text_content() == first["method"] + (
        first["note"] or ""
    )
    assert page.locator("#classes tr").count() == len(known["classes"])


def test_learning_can_be_paused_and_goes_on(context: BrowserContext, live: Live) -> None:
    page = context.new_page()
    page.goto(live.url + "progress")
    for text, paused in (("Pause learning", True), ("Resume learning", False)):
        page.click(f"#pause:text-is('{text}'):enabled")
        page.wait_for_selector(f"#pause:not(:text-is('{text}')):enabled")
        assert live.get("/api/status")["status"]["learner"]["paused"] is paused


def test_settings_are_changed_with_the_keyboard_and_the_next_round_follows(
    labeler: Labeler, live: Live, problems: Problems
) -> None:
    page = labeler.page
    page.goto(live.url + "settings")
    page.focus("input[name=method]:checked")
    while page.locator("input[name=method]:checked").get_attribute("value") != "frozen":
        page.keyboard.press("ArrowDown")
    assert page.locator("details[data-method]:not([hidden])").get_attribute("data-method") == "frozen"
    page.focus("details[data-method=frozen] summary")
    page.keyboard.press("Enter")
    page.fill("#frozen-features", "pca")
    page.fill("#frozen-dropout", "2")
    page.keyboard.press("Enter")
    page.wait_for_selector("#trouble:has-text('dropout')")
    problems.clear()
    page.fill("#frozen-dropout", "")
    page.click("#save")
    page.wait_for_selector("#said:has-text('learns by frozen')")
    assert page.locator("#trouble").text_content() == ""
    page.goto(live.url)
    labeler.answer_truly(12)
    labeler.saved()
    live.until("/api/progress", lambda answer: any(row["method"] == "frozen" for row in answer["rounds"]))


def test_an_unknown_page_shows_the_way_out(context: BrowserContext, live: Live, problems: Problems) -> None:
    page = context.new_page()
    page.goto(live.url + "nowhere")
    assert problems == [f"404 {live.url}nowhere"]
    problems.clear()
    page.click("main a")
    assert page.url == live.url
