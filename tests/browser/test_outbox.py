"""An answer given is never lost, never doubled, and never holds up the next image."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from browsing import Labeler, Problems, Server, answers, photo_truth, read, read_truth
from live import Live
from playwright.sync_api import BrowserContext, Route

REFUSAL = {"status": 422, "json": {"ok": False, "error": "there is no such class"}}


@pytest.fixture
def server(photos: Path, tmp_path: Path) -> Server:
    return Server(photos, tmp_path / "instance", "cat,dog", "--no-learner")


@pytest.mark.long
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


def test_an_answer_whose_reply_was_lost_is_stored_once(labeler: Labeler, demo: Path, problems: Problems) -> None:
    def lose_reply(route: Route) -> None:
        route.fetch()
        route.abort()

    labeler.page.route("**/api/label", lose_reply, times=1)
    with labeler.page.expect_response("**/api/label"):  # the first that reaches the page is the second
        (image,) = labeler.answer_truly(1)
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


@pytest.mark.long
def test_answers_of_a_closed_tab_are_sent_by_a_tab_that_was_open_already(
    labeler: Labeler, live: Live, demo: Path, problems: Problems
) -> None:
    other = Labeler(labeler.page.context.new_page(), live.url, read_truth(demo)).open()
    other.saved()
    labeler.page.bring_to_front()
    labeler.page.route("**/api/label", lambda route: route.abort())
    (image,) = labeler.answer_truly(1)
    labeler.until(outbox="offline", kept="1")
    labeler.page.close()
    problems.clear()
    with other.page.expect_response("**/api/label"):
        other.page.bring_to_front()
    other.saved()
    assert answers(demo)[image] == labeler.truth[image]


def test_two_tabs_do_not_double_an_answer(labeler: Labeler, live: Live, demo: Path) -> None:
    other = Labeler(labeler.page.context.new_page(), live.url, read_truth(demo)).open()
    sent: list[str] = []
    labeler.page.context.on("request", lambda request: request.url.endswith("/api/label") and sent.append(request.url))
    images = [tab.answer_truly(1)[0] for tab in (labeler, other, labeler, other)]
    labeler.saved()
    other.saved()
    assert len(sent) == len(images) == len(set(images))


@pytest.mark.long
@pytest.mark.parametrize("locks", [True, False], ids=["with locks", "without locks"])
def test_two_tabs_that_were_offline_send_each_answer_once(
    context: BrowserContext, live: Live, demo: Path, problems: Problems, locks: bool
) -> None:
    if not locks:  # as on http://another-machine, which is no secure context
        context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
    tabs = [Labeler(context.new_page(), live.url, read_truth(demo)).open() for _ in range(2)]
    for tab in tabs:
        tab.page.wait_for_selector("[data-boot][data-queue='5']")
    context.set_offline(True)
    images = [tab.answer_truly(1)[0] for tab in (*tabs, *tabs)]
    for tab in tabs:
        tab.until(outbox="offline")
    context.set_offline(False)
    for tab in tabs:
        tab.saved()
    problems.clear()
    assert [times_stored(demo, image) for image in images] == [1] * 4


def test_an_answer_given_in_the_last_moment_of_the_page_is_kept(
    labeler: Labeler, demo: Path, problems: Problems
) -> None:
    labeler.page.wait_for_selector("[data-boot][data-queue='5']")
    image = labeler.look()
    labeler.page.route("**/api/label", lambda route: route.abort())
    key = labeler.truth[image]
    labeler.page.evaluate(
        """key => {
            document.dispatchEvent(new KeyboardEvent("keydown", { key }));
            location.reload();
        }""",
        key,
    )
    labeler.until(outbox="offline", kept="1")
    labeler.page.unroute("**/api/label")
    labeler.saved()
    problems.clear()
    assert answers(demo)[image] == key


def test_the_page_tries_again_by_itself(labeler: Labeler, demo: Path, problems: Problems) -> None:
    labeler.page.route("**/api/heartbeat", lambda route: route.abort())  # its success would be a reason to try
    labeler.page.route("**/api/label", lambda route: route.abort(), times=2)
    with labeler.page.expect_response("**/api/label"):
        (image,) = labeler.answer_truly(1)
    labeler.saved()
    problems.clear()
    assert image in answers(demo)


def test_answers_of_many_offline_hours_arrive_once_there_is_a_network(
    labeler: Labeler, demo: Path, problems: Problems
) -> None:
    labeler.page.clock.install()
    labeler.open()
    labeler.page.wait_for_selector("[data-boot][data-queue='5']")
    labeler.page.context.set_offline(True)
    asked = labeler.answer_truly(3)
    labeler.until(outbox="offline", kept="3")
    labeler.page.clock.pause_at(datetime.now() + timedelta(hours=6))  # from here on no timer helps
    labeler.page.context.clear_cookies()
    labeler.badge("offline (3 kept)")
    labeler.page.context.set_offline(False)
    labeler.saved()
    problems.clear()
    assert {image: answers(demo).get(image) for image in asked} == {image: labeler.truth[image] for image in asked}


def test_answers_arrive_in_the_order_they_were_given(labeler: Labeler, problems: Problems) -> None:
    sent: list[int] = []
    labeler.page.wait_for_selector("[data-boot][data-queue='5']")
    labeler.page.context.set_offline(True)
    asked = labeler.answer_truly(3)
    labeler.page.keyboard.press("Backspace")
    labeler.until(image=str(asked[-1]), kept="4", outbox="offline")
    labeler.page.on(
        "requestfinished",
        lambda request: request.url.endswith("/api/label") and sent.append(request.post_data_json["image"]),
    )
    labeler.page.context.set_offline(False)
    labeler.saved()
    problems.clear()
    assert sent == [*asked, asked[-1]]


@pytest.mark.parametrize("button", [".class", "[data-command=skip]"])
def test_a_double_click_answers_one_image(labeler: Labeler, demo: Path, button: str) -> None:
    labeler.page.wait_for_selector("[data-boot][data-queue='5']")
    first = labeler.look()
    before = total(demo)
    labeler.page.locator(button).first.dblclick()
    second = labeler.look(other_than=first)
    labeler.saved()
    assert total(demo) == before + 1
    labeler.page.wait_for_timeout(600)  # now it has been looked at, however fast the clicks follow each other
    labeler.page.mouse.down(click_count=3)
    labeler.page.mouse.up(click_count=3)
    labeler.look(other_than=second)
    labeler.saved()
    assert total(demo) == before + 2


@pytest.mark.parametrize(("focus", "key"), [("body", "1"), (".class", "Enter"), ("[data-command=skip]", "Enter")])
def test_a_held_key_answers_one_image(labeler: Labeler, demo: Path, focus: str, key: str) -> None:
    labeler.page.wait_for_selector("[data-boot][data-queue='5']")
    before = total(demo)
    labeler.page.locator(focus).first.focus()
    for _ in range(4):
        labeler.page.keyboard.down(key)
        labeler.page.wait_for_timeout(100)
    labeler.page.keyboard.up(key)
    labeler.saved()
    assert total(demo) == before + 1


def test_the_answers_of_two_people_and_of_two_projects_are_kept_apart(labeler: Labeler) -> None:
    script = """async scopes => {
        const { openOutbox } = await import("/static/outbox.js");
        const nobody = () => Promise.reject(new TypeError("offline"));
        const [first, ...others] = await Promise.all(scopes.map(scope => openOutbox(scope, nobody)));
        await first.add({ uuid: "u", image: 1 }, "");
        return Promise.all([first, ...others].map(async outbox => (await outbox.waiting()).length));
    }"""
    assert labeler.page.evaluate(script, ["p ann", "p bob", "q ann"]) == [1, 0, 0]


BADGES = [
    ({"phase": "saved"}, "saved", "Every answer is on the server."),
    ({"phase": "saving", "kept": 3}, "saving (3)", "on their way"),
    ({"phase": "offline", "kept": 2}, "offline (2 kept)", "kept on this device"),
    ({"phase": "refused", "kept": 2, "reason": "open the link."}, "waiting (2 kept)", "open the link. They are kept"),
    ({"phase": "saved", "aside": 1}, "saved · 1 set aside", "but those below"),
    ({"phase": "offline", "kept": 2, "fleeting": 2}, "offline (2 kept) · 2 in memory only", "Keep it open"),
    ({"phase": "stuck", "kept": 2, "reason": "no disk"}, "not readable (2 kept)", "but no disk"),
]


@pytest.mark.parametrize(("state", "short", "long"), BADGES, ids=[row[1] for row in BADGES])
def test_the_badge_tells_the_truth(labeler: Labeler, state: dict[str, object], short: str, long: str) -> None:
    script = "async state => (await import('/static/words.js')).badge(state)"
    said = labeler.page.evaluate(script, {"kept": 0, "aside": 0, "fleeting": 0, "reason": "", **state})
    assert said["short"] == short
    assert long in said["long"]


def times_stored(instance: Path, image: int) -> int:
    (count,) = read(instance / "labels.db", "SELECT count(*) FROM labels WHERE image_id = ?", image)[0]
    return int(count)


def total(instance: Path) -> int:
    (count,) = read(instance / "labels.db", "SELECT count(*) FROM labels")[0]
    return int(count)
