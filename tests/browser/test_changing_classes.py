"""Classes are changed on their page while somebody labels on another."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Labeler, Problems, Server, answers, read
from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "instance"


@pytest.fixture
def server(photos: Path, place: Path) -> Iterator[Server]:
    with Server(photos, place, "cat,dog,owl", "--no-learner") as running:
        yield running


@pytest.fixture
def labeler(context: BrowserContext, server: Server) -> Iterator[Labeler]:
    yield (opened := Labeler(context.new_page(), server.url, {}).open())
    opened.page.close()


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Iterator[Page]:
    """The classes page."""
    page = context.new_page()
    page.goto(server.url + "classes")
    page.wait_for_selector("#offered li")
    yield page
    page.close()


def names(page: Page, where: str = "#offered") -> list[str]:
    return page.locator(f"{where} .name").all_text_contents()


def test_a_class_that_is_added_can_be_answered_with_its_key_on_an_open_label_page(
    labeler: Labeler, page: Page, place: Path
) -> None:
    page.click("#add")
    page.fill("#name", "fox")
    page.fill("#guidance", "With a bushy tail.")
    page.fill("#colour", "#cc5500")
    page.wait_for_selector("#preview li:has-text('with the key 4')")
    page.click("#confirm")
    page.wait_for_selector("#said:has-text('Done')")
    assert names(page) == ["cat", "dog", "owl", "fox"]
    labeler.page.bring_to_front()
    labeler.page.wait_for_selector(".class:has-text('fox'):enabled")
    button = labeler.page.locator(".class", has_text="fox")
    assert button.locator(".guidance").text_content() == "With a bushy tail."
    assert button.evaluate("each => getComputedStyle(each).borderLeftColor") == "rgb(204, 85, 0)"
    image = labeler.press("4")
    labeler.saved()
    assert answers(place)[image] == "fox"
    assert labeler.verdicts() == ["fox"]


DESCRIBE = """() => [...document.querySelectorAll(".classes li")].map((li) => {
    const told = (each) => [each.tagName, each.hidden,
        Object.fromEntries([...each.attributes].filter((a) => !["disabled", "style"].includes(a.name))
            .map((a) => [a.name, a.value]).sort()), each.children.length ? "" : each.textContent.trim()];
    return [li, ...li.querySelectorAll("*")].map(told);
})"""


@pytest.mark.long
def test_buttons_drawn_after_a_change_are_those_that_the_server_draws(labeler: Labeler, page: Page) -> None:
    page.click("li[data-class='1'] [data-action=edit]")
    page.fill("#guidance", "A cat.")
    page.select_option("#key", "")
    page.click("#confirm")
    page.wait_for_selector("#said:has-text('Done')")
    labeler.page.bring_to_front()
    labeler.page.wait_for_selector(".guidance")
    drawn = labeler.page.evaluate(DESCRIBE)
    labeler.page.reload()
    labeler.look()
    assert labeler.page.evaluate(DESCRIBE) == drawn


def test_a_merger_says_first_what_it_does_and_label_pages_follow(labeler: Labeler, page: Page, place: Path) -> None:
    labeler.page.bring_to_front()
    owls = [labeler.press("3") for _ in range(2)]
    labeler.saved()
    page.bring_to_front()
    page.reload()
    page.click("li[data-class='3'] [data-action=merge]")
    page.select_option("#into", label="dog")
    page.wait_for_selector("#preview li:has-text(\"2 images count as 'dog'\")")
    assert page.locator("#preview li").all_text_contents()[1] == "the key 3 becomes free"
    assert names(page) == ["cat", "dog", "owl"]
    page.click("#confirm")
    page.wait_for_selector("#former li:has-text('merged into dog')")
    assert names(page) == ["cat", "dog"]
    assert answers(place) == dict.fromkeys(owls, "dog")
    assert read(place / "labels.db", "SELECT class_id FROM labels") == [(3,), (3,)]
    labeler.page.bring_to_front()
    labeler.page.wait_for_selector(".class[data-class='3']", state="detached")
    labeler.page.reload()
    labeler.look()
    assert labeler.verdicts() == ["dog", "dog"]


@pytest.mark.long
def test_a_late_answer_with_a_retired_class_is_kept(labeler: Labeler, page: Page, place: Path) -> None:
    labeler.page.bring_to_front()
    labeler.page.route("**/api/heartbeat", lambda route: None)  # this page hears of nothing
    labeler.page.route("**/api/status", lambda route: None)
    page.bring_to_front()
    page.click("li[data-class='3'] [data-action=retire]")
    page.click("#confirm")
    page.wait_for_selector("#former li:has-text('retired')")
    labeler.page.bring_to_front()
    image = labeler.press("3")
    labeler.saved()
    assert read(place / "labels.db", "SELECT image_id, class_id, status FROM current") == [(image, 3, "retired")]
    labeler.page.unroute_all(behavior="ignoreErrors")
    page.bring_to_front()
    page.reload()
    page.click("li[data-class='3'] [data-action=ask]")
    page.wait_for_selector("#preview li:has-text('1 image')")
    page.click("#confirm")
    page.wait_for_selector("#said:has-text('asked again')")
    assert read(place / "labels.db", "SELECT image_id, source FROM queue WHERE source = 'second_look'") == [
        (image, "second_look")
    ]


def test_the_keyboard_alone_renames_moves_and_retires(page: Page, problems: Problems) -> None:
    page.focus("li[data-class='2'] [data-action=edit]")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.type("cat")
    page.wait_for_selector("#refusal:has-text('already')")
    problems.clear()  # the refusal's status
    page.keyboard.press("Control+a")
    page.keyboard.type("puppy")
    page.wait_for_selector("#preview li:has-text('puppy')")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said:has-text('puppy')")
    assert page.evaluate("document.activeElement.dataset.action") == "edit"
    page.focus("li[data-class='2'] [data-action=up]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#offered li:first-child:has-text('puppy')")
    assert page.evaluate("document.activeElement.closest('li').dataset.class") == "2"
    page.focus("li[data-class='1'] [data-action=retire]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#preview li")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.evaluate("document.activeElement.dataset.action") == "retire"
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_selector("#former li:has-text('cat')")
    assert names(page) == ["puppy", "owl"]
    page.focus("li[data-class='1'] [data-action=restore]")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_selector("#offered li:has-text('cat')")


@pytest.mark.long
def test_it_fits_a_narrow_screen_with_the_longest_hostile_names(
    browser: Browser, server: Server, problems: Problems
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark", has_touch=True)
    problems.watch(context)
    page = context.new_page()
    page.goto(server.url + "classes")
    hostile = "<img src=x onerror=alert(1)>".ljust(200, "x")
    page.tap("#add")
    page.fill("#name", hostile)
    page.wait_for_selector("#preview li")
    assert page.evaluate("document.querySelector('dialog').scrollWidth") <= 360
    page.tap("#confirm")
    page.wait_for_selector("#offered li:nth-child(4)")
    assert names(page)[-1] == hostile
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.goto(server.url)
    page.wait_for_selector("#picture img")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()
