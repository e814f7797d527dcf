"""Two people are asked of the same images, disagree, and a reviewer decides one conflict after the other."""

import shutil
from pathlib import Path

import pytest
from browsing import Labeler, Problems, Server, read
from playwright.sync_api import Browser, BrowserContext
from test_together import PASSWORD, REMOTE, invite, local, profile

pytestmark = pytest.mark.long


def test_two_people_disagree_and_a_reviewer_decides(
    browser: Browser, context: BrowserContext, photos_once: Path, tmp_path: Path, problems: Problems
) -> None:
    folder = tmp_path / "three"
    folder.mkdir()
    for photo in sorted(photos_once.iterdir())[:3]:
        shutil.copy(photo, folder)
    instance = tmp_path / "instance"
    with Server(folder, instance, "cat,dog", *REMOTE, "--overlap", "2") as server:
        owner = Labeler(context.new_page(), local(server.url), {}).open()
        for _ in range(2):
            owner.press("1")
        owner.page.keyboard.press("1")
        owner.page.wait_for_selector("text=wait for somebody else's opinion")
        owner.saved()

        other = profile(browser, problems)
        page = other.new_page()
        page.goto(invite(owner.page, "ann", "annotator"))
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        ann = Labeler(page, page.url, {})
        for key in ("1", "2"):
            ann.press(key)
        page.keyboard.press("2")
        page.wait_for_selector("text=have an answer")
        ann.saved()
        other.close()

        reviewer = owner.page
        reviewer.goto(local(server.url))
        assert reviewer.inner_text("nav a[href='/review']").split() == ["Review", "2", "conflicts"]
        reviewer.click("nav a[href='/progress']")
        reviewer.click("a:text-is('Decide 2 conflicts')")
        reviewer.wait_for_selector("#detail[open] #detail-history li:nth-child(2)")
        assert {"local", "ann"} <= set(reviewer.inner_text("#detail-history").split())
        first = reviewer.inner_text("#detail-name")
        reviewer.keyboard.press("2")
        reviewer.wait_for_selector(f"#detail[open] #detail-name:not(:text-is('{first}'))")
        reviewer.keyboard.press("1")
        reviewer.wait_for_selector("#detail:not([open])", state="attached")
        reviewer.wait_for_selector("#said:has-text('That was the last conflict')")
        reviewer.wait_for_selector("main[data-outbox=saved][data-kept='0']")
        reviewer.reload()
        reviewer.wait_for_selector("text=No conflict is left")
        said = read(instance / "labels.db", "SELECT source, class_id FROM labels ORDER BY id")
        assert said[6:] == [("review", 2), ("review", 1)]
        states = read(instance / "labels.db", "SELECT status, count(*) FROM states GROUP BY status")
        assert states == [("label", 3)]
        owner.page.close()
