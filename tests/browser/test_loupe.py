"""Looking closer: the geometry of static/loupe.js, the keys, the wheel, two fingers; and the filter of the classes."""

import random
from pathlib import Path

import pytest
from browsing import Labeler, Server, answers
from PIL import Image
from playwright.sync_api import BrowserContext, Page

PLAYED = """async moves => {
    const { WHOLE, moved, zoomed } = await import("/static/loupe.js");
    let view = WHOLE;
    return moves.map(([name, a, b, c, box]) =>
        view = name === "zoom" ? zoomed(view, a, { x: b, y: c }, box) : moved(view, a, b, box));
}"""
BOX = {"width": 640, "height": 480}
CLASSES = ["Fluß", "Émeu", *(f"class {number:02d}" for number in range(28))]


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """Two photographs larger than the page's pictures."""
    folder = tmp_path / "wide"
    folder.mkdir()
    for number in range(2):
        Image.radial_gradient("L").resize((3000, 2000)).rotate(number).save(folder / f"{number}.jpg")
    return folder


def moves(seed: int) -> list[list[object]]:
    rng = random.Random(seed)

    def one() -> list[object]:
        if rng.random() < 0.5:
            return ["move", rng.uniform(-900, 900), rng.uniform(-900, 900), None, BOX]
        return ["zoom", rng.choice([0, 0.1, 0.6, 1.1, 1.5, 3]), rng.uniform(0, 640), rng.uniform(0, 480), BOX]

    return [one() for _ in range(60)]


def test_the_stage_stays_covered_and_the_point_under_the_cursor_stays(context: BrowserContext, live) -> None:
    page = context.new_page()
    page.goto(live.url + "files")
    kept = 0
    for seed in range(20):
        played = moves(seed)
        views = page.evaluate(PLAYED, played)
        for before, (name, _, x, y, _), after in zip(views, played[1:], views[1:], strict=False):
            assert 1 <= after["scale"] <= 16
            for axis, side in (("x", 640), ("y", 480)):
                assert side * (1 - after["scale"]) - 1e-6 <= after[axis] <= 0
            for axis, side, at in (("x", 640, x), ("y", 480, y)):
                at_an_edge = after[axis] > -1e-6 or after[axis] < side * (1 - after["scale"]) + 1e-6
                if name == "zoom" and not at_an_edge:
                    points = [(at - view[axis]) / view["scale"] for view in (before, after)]  # of the picture
                    assert points[0] == pytest.approx(points[1])
                    kept += 1
    assert kept > 100
    page.close()


def scale(page: Page) -> float:
    """How much larger than whole the picture is drawn, as the browser lays it out, to 0.01."""
    drawn = "document.querySelector('#picture').getBoundingClientRect().width"
    return round(page.evaluate(f"{drawn} / document.querySelector('#picture').offsetWidth"), 2)


def test_keys_wheel_and_buttons_look_closer_and_the_next_image_is_whole(labeler: Labeler) -> None:
    page = labeler.page
    assert scale(page) == 1
    page.keyboard.press("z")
    assert scale(page) == 2
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    left, top = page.evaluate("""(() => {
        const [all, part] = [".stage", "#picture"].map(name => document.querySelector(name).getBoundingClientRect());
        return [part.left - all.left, part.top - all.top];
    })()""")
    page.keyboard.press("Shift+ArrowLeft")
    assert page.evaluate("document.querySelector('#picture').getBoundingClientRect().left") > left
    assert top < 0
    page.keyboard.press("z")
    assert scale(page) == 1
    page.hover("#picture")
    page.mouse.wheel(0, -500)
    page.wait_for_selector(".stage[data-scale='2.00']")
    page.click("[data-command=closer]")
    page.click("[data-command=farther]")
    assert scale(page) == 2
    page.keyboard.press("b")
    assert page.evaluate("getComputedStyle(document.querySelector('#picture')).filter") == "brightness(1.5)"
    labeler.press(" ")
    assert scale(page) == 1
    assert page.get_attribute(".stage", "data-light") == "1.5"  # a dark series stays readable


def test_two_fingers_pinch_and_one_moves(context: BrowserContext, labeler: Labeler) -> None:
    page = labeler.page
    tools = context.new_cdp_session(page)
    box = page.locator(".stage").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": at, "y": to, "id": number} for number, (at, to) in enumerate(places)]
        tools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (x - 20, y), (x + 20, y))
    for step in range(1, 6):
        touch("touchMove", (x - 20, y), (x + 20 + 12 * step, y))
    touch("touchEnd")
    assert scale(page) == pytest.approx(2.5, abs=0.3)
    before = page.evaluate("document.querySelector('#picture').getBoundingClientRect().left")
    touch("touchStart", (x, y))
    touch("touchMove", (x + 10, y))
    touch("touchMove", (x + 30, y))
    touch("touchEnd")
    assert page.evaluate("document.querySelector('#picture').getBoundingClientRect().left") > before


@pytest.mark.long
def test_under_the_loupe_a_photograph_has_all_its_pixels(context: BrowserContext, wide: Path, tmp_path: Path) -> None:
    with Server(wide, tmp_path / "instance", "cat,dog", "--no-learner") as server:
        labeler = Labeler(context.new_page(), server.url, {}).open()
        width = "document.querySelector('#picture img').naturalWidth"
        assert labeler.page.evaluate(width) == 1600
        labeler.page.keyboard.press("+")
        labeler.page.wait_for_selector("#picture img[src*='size=4096']")
        assert labeler.page.evaluate(width) == 3000
        labeler.page.close()


@pytest.mark.long
def test_many_classes_are_filtered_by_typing(context: BrowserContext, photos: Path, tmp_path: Path) -> None:
    instance = tmp_path / "instance"
    with Server(photos, instance, ",".join(CLASSES), "--no-learner") as server:
        labeler = Labeler(context.new_page(), server.url, {}).open()
        page = labeler.page
        image = labeler.look()
        page.keyboard.press("/")
        page.keyboard.type("emeu")
        assert page.locator(".classes li:visible .name").all_inner_texts() == ["Émeu"]
        page.keyboard.press("Enter")
        labeler.look(other_than=image)
        labeler.saved()
        assert answers(instance) == {image: "Émeu"}
        page.keyboard.press("/")
        page.keyboard.type("zzz")
        assert page.locator(".classes li:visible").count() == 0
        page.keyboard.press("Escape")
        assert page.locator(".classes li:visible").count() == len(CLASSES)
        second = labeler.press("1")  # the keys belong to the page again
        labeler.saved()
        assert answers(instance)[second] == "Fluß"
        page.close()
