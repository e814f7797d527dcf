"""axe-core finds nothing on any page, with its dialogs open, light and dark, wide and narrow."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Problems
from live import Live, serving
from playwright.sync_api import Browser, Page

from annotator.pages import PAGES
from annotator.store import db as store
from annotator.store import labels, project

MENU = [name for name, page in PAGES.items() if page.title]
READY = {"label": "#picture img", "progress": "#classes tr"}
DIALOGS = {"label": ["[data-command=help]", "[data-command=outbox]"]}  # what opens them
LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
}


@pytest.fixture(scope="module")
def seeded(learned_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A project with answers of two people who disagree, and a model that does not learn on."""
    instance = shutil.copytree(learned_once / "learned", tmp_path_factory.mktemp("seeded") / "instance")
    disagree(instance)
    options = ["--instance", str(instance), "--no-learner"]
    with serving("serve", str(learned_once / "photos"), *options, cwd=instance.parent) as server:
        yield server


def disagree(instance: Path) -> None:
    """Bob says cat of everything that has an answer."""
    with closing(store.connect(instance / store.FILE)) as db, store.write(db):
        bob = project.person_id(db, "bob")
        for (image,) in db.execute("SELECT DISTINCT image_id FROM labels").fetchall():
            labels.add(db, labels.Answer(f"bob{image}", image, "label", bob, 1, seconds=2.0), "bob's", 0.0)


def found(page: Page) -> list[str]:
    """What axe objects to, a line each: the rule, and where."""
    violations = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in violations for node in each["nodes"]]


@pytest.mark.parametrize("look", ["light", *(pytest.param(look, marks=pytest.mark.long) for look in [*LOOKS][1:])])
@pytest.mark.parametrize("name", MENU)
def test_axe_finds_nothing(browser: Browser, seeded: Live, problems: Problems, name: str, look: str) -> None:
    context = browser.new_context(**LOOKS[look])
    problems.watch(context)
    page = context.new_page()
    page.goto(seeded.url)
    page.click(f"nav a:text-matches('^{PAGES[name].title}')")
    page.wait_for_selector(READY.get(name, "main"))
    assert found(page) == []
    for opener in DIALOGS.get(name, []):
        page.click(opener)
        page.wait_for_selector("dialog[open]")
        assert found(page) == []
        page.keyboard.press("Escape")
    context.close()


def test_axe_would_find_something(browser: Browser, seeded: Live) -> None:
    page = browser.new_page()
    page.goto(seeded.url + "files")
    page.evaluate(
        "document.querySelector('main').append(document.createElement('img'), document.createElement('input'))"
    )
    assert {line.split(":")[0] for line in found(page)} >= {"image-alt", "label"}
    page.close()
