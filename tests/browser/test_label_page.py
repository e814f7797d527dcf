"""The page people live in, with the keyboard, on the demo and its learning process."""

from pathlib import Path

import pytest
from browsing import ROOT, Labeler, Server, answers, photo_truth, predicted, read, read_truth
from live import Live
from playwright.sync_api import BrowserContext, Route


def ready(live: Live, model: int = 1) -> int:
    """The newest model, once it is at least this one and nothing is being learned."""

    def settled(answer: dict[str, dict]) -> bool:  # type: ignore[type-arg]
        status = answer["status"]
        return (status["model"] or 0) >= model and status["learner"]["activity"] == "ready"

    return int(live.until("/api/status", settled)["status"]["model"] or 0)


@pytest.mark.long
def test_twelve_digits_two_taken_back_and_the_round_finishes(labeler: Labeler, live: Live, demo: Path) -> None:
    asked = labeler.answer_truly(12)
    labeler.page.keyboard.press("Backspace")
    labeler.until(image=str(asked[-1]))
    labeler.page.keyboard.press("Control+z")
    labeler.until(image=str(asked[-2]))
    labeler.saved()
    assert answers(demo) == {image: labeler.truth[image] for image in asked[:10]}
    assert labeler.answer_truly(2) == asked[-2:]
    labeler.saved()
    assert set(answers(demo)) == set(asked)
    assert ready(live) >= 1
    labeler.page.wait_for_selector(f"{ROOT}:not([data-round='0'])")


def test_the_header_counts_the_answers_of_the_round(labeler: Labeler, live: Live) -> None:
    ready(live, model=0)
    labeler.open()
    before = live.get("/api/status")["status"]["query"]["answered"]
    while labeler.state("source") != "query":
        labeler.press(" ")
    labeler.press("u")
    labeler.page.wait_for_selector(f"#round-count:text-is('{before + 1}/10')")


def test_the_suggestion_is_what_this_rounds_model_predicts(labeler: Labeler, live: Live, demo: Path) -> None:
    labeler.answer_truly(12)
    ready(live)
    labeler.open()
    for _ in range(3):
        labeler.page.wait_for_selector(f"{ROOT}:not([data-suggested='']), {ROOT}[data-source=audit]")
        if labeler.state("source") != "audit":
            said = predicted(demo, int(labeler.state("model")))[labeler.look()]
            assert labeler.state("suggested") == str(said)
            assert labeler.page.locator(".suggested").get_attribute("data-class") == str(said)
        labeler.press(" ")


@pytest.mark.slow
def test_flipped_labels_flip_the_suggestions(context: BrowserContext, photos: Path, tmp_path: Path) -> None:
    instance = tmp_path / "instance"
    with Server(photos, instance, "cat,dog", "--query-size", "10") as server:
        labeler = Labeler(context.new_page(), server.url, {}).open()
        labeler.truth = photo_truth(instance)
        labeler.answer_truly(10)
        labeler.page.wait_for_selector(f"{ROOT}[data-ranking]:not([data-round='0'])")
        assert suggested(labeler.open()) == labeler.truth[labeler.look()]
        for _ in range(10):
            labeler.walk_back(10)  # to the oldest: a correction becomes the newest
            labeler.page.keyboard.press({"1": "2", "2": "1"}[labeler.truth[labeler.look()]])
            labeler.until(viewing="present")
        labeler.saved()
        labeler.page.wait_for_selector(f"{ROOT}:not([data-round='0']):not([data-round='1'])")
        assert suggested(labeler.open()) != labeler.truth[labeler.look()]
        labeler.page.close()


def suggested(labeler: Labeler) -> str:
    """The key of the class that the page suggests."""
    return labeler.page.locator(".suggested kbd").text_content() or ""


def test_an_audit_image_never_shows_a_suggestion(labeler: Labeler, live: Live) -> None:
    labeler.answer_truly(12)
    ready(live)
    labeler.open()
    for _ in range(25):
        if labeler.state("source") == "audit":
            break
        labeler.press(" ")
    assert (labeler.state("source"), labeler.state("suggested")) == ("audit", "")
    assert "honestly" in labeler.page.inner_text("#why")
    assert labeler.page.locator(".suggested").count() == 0
    assert labeler.page.locator("#accept").is_disabled()


def test_a_reload_loses_nothing(labeler: Labeler, demo: Path) -> None:
    asked = labeler.answer_truly(4)
    labeler.page.reload()  # at once: some answers are still on their way
    labeler.look()
    labeler.saved()
    truth = labeler.truth
    assert {image: answers(demo)[image] for image in asked} == {image: truth[image] for image in asked}
    assert labeler.verdicts()[:4] == [truth[image] for image in reversed(asked)]
    labeler.page.keyboard.press("Backspace")
    labeler.until(image=str(asked[-1]))
    labeler.saved()
    assert asked[-1] not in answers(demo)


def test_enter_accepts_and_the_row_says_so(labeler: Labeler, live: Live, demo: Path) -> None:
    labeler.answer_truly(12)
    ready(live)
    labeler.open()
    while not labeler.state("suggested"):
        labeler.press(" ")
    suggested, model = int(labeler.state("suggested")), int(labeler.state("model"))
    image = labeler.press("Enter")
    labeler.saved()
    sql = """SELECT class_id, suggested_id, suggestion_shown, model, via, seconds FROM labels
        WHERE image_id = ? ORDER BY id DESC"""
    *row, seconds = read(demo / "labels.db", sql, image)[0]
    assert row == [suggested, suggested, 1, model, "accepted"]
    assert 0 < seconds < 60


def test_skip_unsure_and_flag_are_stored_and_shown(labeler: Labeler, demo: Path) -> None:
    images = {labeler.press(key): kind for key, kind in ((" ", "skip"), ("u", "unsure"), ("f", "flag"))}
    labeler.saved()
    assert labeler.verdicts()[:3] == ["flagged", "unsure", "skipped"]
    kinds = dict(read(demo / "labels.db", "SELECT image_id, kind FROM answers"))
    assert {image: kinds[image] for image in images} == images


def test_a_click_on_a_thumbnail_corrects(labeler: Labeler, demo: Path) -> None:
    (wrong,) = [labeler.press("0" if labeler.truth[labeler.look()] != "0" else "1")]
    on_screen = labeler.look()
    labeler.page.locator("#past button").first.click()
    labeler.until(image=str(wrong), viewing="past")
    labeler.page.wait_for_selector("#picture img")
    labeler.page.click(f".class:has(kbd:text-is('{labeler.truth[wrong]}'))")
    labeler.until(image=str(on_screen), viewing="present")
    labeler.saved()
    assert answers(demo)[wrong] == labeler.truth[wrong]


def test_help_opens_and_swallows_the_keys(labeler: Labeler) -> None:
    image = labeler.look()
    labeler.page.keyboard.press("?")
    assert labeler.page.locator("#help").is_visible()
    labeler.page.keyboard.press("1")
    labeler.page.keyboard.press("Escape")
    assert not labeler.page.locator("#help").is_visible()
    assert labeler.look() == image


def test_two_tabs_are_asked_different_images(labeler: Labeler, context: BrowserContext, live: Live, demo: Path) -> None:
    other = Labeler(context.new_page(), live.url, read_truth(demo)).open()
    first = [labeler.press(" ") for _ in range(4)]
    second = [other.press(" ") for _ in range(4)]
    assert not set(first) & set(second)


def test_the_next_image_does_not_wait_for_the_network(labeler: Labeler) -> None:
    labeler.page.wait_for_selector(f"{ROOT}[data-queue='5']")
    held: list[Route] = []
    labeler.page.route("**/api/**", lambda route: held.append(route))
    images = [labeler.press(" ") for _ in range(3)]
    assert len(set(images)) == 3
    assert labeler.state("outbox") == "saving"
    for route in held:
        route.continue_()
    labeler.page.unroute("**/api/**")
    labeler.saved()
