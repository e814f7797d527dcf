"""A second look says why and nothing of what was said; the help shows what each class looks like."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Labeler, photo_truth, read
from live import serving
from playwright.sync_api import BrowserContext

from annotator.store import db as store
from annotator.store import project, second_looks


@pytest.fixture(scope="module")
def instance(learned_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten labels and a model, of which one is doubted and comes next."""
    place = shutil.copytree(learned_once / "learned", tmp_path_factory.mktemp("again") / "instance")
    db = store.connect(place / store.FILE)
    pick = {"image_id": second_looks.open_to_doubt(db)[0], "round": 1, "strategy": second_looks.STRATEGY}
    with store.write(db):
        second_looks.publish(db, [pick | {"score": 0.9, "probability": None}], second_looks.SOURCE, 0)
        project.put(db, learning={"asking": {"second_look_share": 0.5}})
        project.set_counter(db, "served", 1)
    db.close()
    return place


@pytest.fixture
def labeler(context: BrowserContext, instance: Path, learned_once: Path) -> Iterator[Labeler]:
    arguments = ["serve", str(learned_once / "photos"), "--instance", str(instance), "--no-learner"]
    with serving(*arguments, cwd=instance.parent) as server:
        yield (opened := Labeler(context.new_page(), server.url, photo_truth(instance)).open())
        opened.page.close()


def test_a_second_look_is_blind_and_the_help_has_examples(labeler: Labeler, instance: Path) -> None:
    page = labeler.page
    page.keyboard.press("?")
    assert page.evaluate("document.querySelector('#help').scrollTop") == 0
    page.locator("#examples li").last.scroll_into_view_if_needed()
    page.wait_for_selector("#examples li:has(img) ~ li:has(img)")
    assert page.locator("#examples h3").all_text_contents() == ["1 cat", "2 dog"]
    assert 2 <= page.locator("#examples img").count() <= 12
    page.keyboard.press("Escape")
    labeler.until(source="second_look", suggested="")
    assert "a second look" in page.locator("#why").text_content()
    assert page.locator(".suggested").count() == 0
    image = labeler.press(labeler.truth[labeler.look()])
    assert page.locator("#said").text_content().endswith(", as before")
    labeler.saved()
    sql = "SELECT source, suggestion_shown, suggested_id IS NULL FROM labels WHERE image_id = ? ORDER BY id DESC"
    assert read(instance / store.FILE, sql, image)[0] == ("second_look", 0, 0)
