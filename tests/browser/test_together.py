"""Several people at one project: invited, logged in, each with images and a name of their own."""

import re
from pathlib import Path

import pytest
from browsing import Labeler, Problems, Server, read
from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.long

PASSWORD = "correct horse"
REMOTE = ["--no-learner", "--host", "0.0.0.0", "--allow-remote", "--host-name", "localhost"]


@pytest.fixture
def shared(photos: Path, tmp_path: Path) -> Server:
    return Server(photos, tmp_path / "instance", "cat,dog", *REMOTE)


def local(url: str) -> str:
    """The address on this machine: the printed one has the machine's name."""
    return re.sub(r"//[^:/]+", "//localhost", url)


def invite(owner: Page, name: str, role: str) -> str:
    owner.click("nav a:text-is('People')")
    owner.fill("#name", name)
    owner.select_option("#role", role)
    owner.click("button:text-is('Make a link')")
    return owner.input_value("#link")


def profile(browser: Browser, problems: Problems) -> BrowserContext:
    context = browser.new_context()
    problems.watch(context)
    return context


def test_an_invited_annotator_labels_beside_the_owner(
    browser: Browser, context: BrowserContext, shared: Server, tmp_path: Path, problems: Problems
) -> None:
    with shared:
        owner = Labeler(context.new_page(), local(shared.url), {}).open()
        owner.look()
        link = invite(owner.page, "ann", "annotator")
        other = profile(browser, problems)
        page = other.new_page()
        page.goto(link)
        page.keyboard.type(PASSWORD)  # the field has the focus
        page.keyboard.press("Enter")
        ann = Labeler(page, link.partition("/invitation")[0] + "/", {})
        mine = ann.look()
        assert page.locator("nav a").all_inner_texts() == ["Label", "Progress", "People"]
        assert page.inner_text(".person").endswith("ann")
        owner.page.click("nav a:text-is('Label')")
        assert owner.look() != mine
        ann.press("1")
        theirs = owner.press("2")
        ann.saved()
        owner.saved()
        sql = "SELECT image_id, people.name FROM labels JOIN people ON people.id = person_id ORDER BY labels.id"
        assert sorted(read(tmp_path / "instance" / "labels.db", sql)) == sorted([(mine, "ann"), (theirs, "local")])
        owner.page.close()
        other.close()


def test_another_person_in_the_same_browser_does_not_get_the_kept_answers(
    context: BrowserContext, shared: Server, tmp_path: Path, problems: Problems
) -> None:
    with shared:
        owner = Labeler(context.new_page(), local(shared.url), {}).open()
        link = invite(owner.page, "ann", "annotator")
        owner.page.click("nav a:text-is('Label')")
        owner.look()
        tab = context.new_page()
        tab.goto(link)  # of ann, in the same browser
        tab.fill("#password", PASSWORD)
        tab.click("button:text-is('Begin')")
        tab.wait_for_selector("#picture img")
        image = owner.press("1")
        owner.until(outbox="refused", kept="1")
        assert read(tmp_path / "instance" / "labels.db", "SELECT count(*) FROM labels") == [(0,)]
        tab.goto(local(shared.url))  # the owner's link once more
        owner.saved()
        sql = "SELECT image_id, people.name FROM labels JOIN people ON people.id = person_id"
        assert read(tmp_path / "instance" / "labels.db", sql) == [(image, "local")]
        tab.close()
        owner.page.close()
    problems.clear()
