"""Where answers wait: what a closed or killed browser keeps, and a browser that keeps nothing."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import Labeler, Problems, answers, read_truth
from conftest import FLAGS
from live import Live
from playwright.sync_api import BrowserContext, Dialog, Playwright

pytestmark = pytest.mark.long

BROKEN = {
    "opening throws": "indexedDB.open = () => { throw new DOMException('no', 'SecurityError') }",
    "opening fails": """
        const open = indexedDB.open.bind(indexedDB);
        indexedDB.open = name => open(name, -1);""",
    "the disk is full": """
        IDBObjectStore.prototype.add = () => { throw new DOMException('full', 'QuotaExceededError') }""",
}
FULL = """
    const add = IDBObjectStore.prototype.add;
    IDBObjectStore.prototype.add = function (...values) {
        if (window.full) throw new DOMException("full", "QuotaExceededError");
        return add.apply(this, values);
    };"""
UNREADABLE = """() => {
    IDBDatabase.prototype.transaction = () => { throw new DOMException("gone", "UnknownError") };
}"""


@pytest.fixture
def labeler(context: BrowserContext, live: Live, demo: Path, request: pytest.FixtureRequest) -> Labeler:
    """The label page in a browser with what the test's parameter breaks, and images at hand."""
    context.add_init_script(getattr(request, "param", ""))
    opened = Labeler(context.new_page(), live.url, read_truth(demo)).open()
    opened.page.wait_for_selector("[data-boot][data-queue='5']")
    return opened


def refuse(labeler: Labeler) -> None:
    """From now on no answer gets through."""
    labeler.page.route("**/api/label", lambda route: route.abort())


def deliver(labeler: Labeler, problems: Problems) -> None:
    """Let the answers through, and wait until all are."""
    labeler.page.unroute("**/api/label")
    labeler.saved()
    problems.clear()


def stored(demo: Path, labeler: Labeler, asked: list[int]) -> bool:
    """Do the answers of the images stand, as they were given?"""
    standing = answers(demo)
    return all(standing.get(image) == labeler.truth[image] for image in asked)


@pytest.mark.parametrize("labeler", BROKEN.values(), ids=BROKEN.keys(), indirect=True)
def test_answers_that_no_disk_takes_are_sent_from_memory_and_the_page_says_so(
    labeler: Labeler, demo: Path, problems: Problems
) -> None:
    questions: list[str] = []

    def stay(dialog: Dialog) -> None:
        questions.append(dialog.type)
        dialog.dismiss()

    refuse(labeler)
    asked = labeler.answer_truly(3)
    labeler.badge("offline (3 kept) · 3 in memory only")
    labeler.page.on("dialog", stay)
    labeler.page.close(run_before_unload=True)
    labeler.page.wait_for_timeout(300)
    assert questions == ["beforeunload"]
    deliver(labeler, problems)
    labeler.badge("saved")
    assert stored(demo, labeler, asked)
    with labeler.page.expect_event("close"):
        labeler.page.close(run_before_unload=True)  # nothing waits: nothing is asked
    assert questions == ["beforeunload"]


@pytest.mark.parametrize("labeler", [FULL], ids=["full"], indirect=True)
def test_answers_reach_the_disk_as_soon_as_it_has_room_and_keep_their_order(
    labeler: Labeler, demo: Path, problems: Problems
) -> None:
    refuse(labeler)
    asked = labeler.answer_truly(1)
    labeler.page.evaluate("window.full = true")
    asked += labeler.answer_truly(1)
    labeler.badge("offline (2 kept) · 1 in memory only")
    labeler.page.evaluate("window.full = false")
    asked += labeler.answer_truly(1)
    labeler.badge("offline (3 kept)")
    labeler.page.reload()  # no question: all of it is on the disk
    labeler.badge("offline (3 kept)")
    arrived: list[int] = []
    labeler.page.on(
        "requestfinished",
        lambda request: request.url.endswith("/api/label") and arrived.append(request.post_data_json["image"]),
    )
    deliver(labeler, problems)
    assert arrived == asked
    assert stored(demo, labeler, asked)


@pytest.mark.long
def test_answers_go_out_although_the_browser_stops_reading_its_disk(
    labeler: Labeler, demo: Path, problems: Problems
) -> None:
    refuse(labeler)
    before = labeler.answer_truly(1)
    labeler.until(outbox="offline", kept="1")
    labeler.page.evaluate(UNREADABLE)
    after = labeler.answer_truly(2)
    labeler.page.unroute("**/api/label")
    labeler.badge("not readable (1 kept)")
    assert stored(demo, labeler, after)
    assert not stored(demo, labeler, before)
    labeler.open()
    deliver(labeler, problems)
    assert stored(demo, labeler, before)


def test_answers_are_kept_again_after_the_sites_data_was_cleared(
    labeler: Labeler, live: Live, demo: Path, problems: Problems
) -> None:
    labeler.answer_truly(1)
    labeler.saved()
    clear = {"origin": live.url.rstrip("/"), "storageTypes": "indexeddb"}
    labeler.page.context.new_cdp_session(labeler.page).send("Storage.clearDataForOrigin", clear)
    refuse(labeler)
    asked = labeler.answer_truly(2)
    labeler.badge("offline (2 kept)")
    labeler.open()
    labeler.badge("offline (2 kept)")
    deliver(labeler, problems)
    assert stored(demo, labeler, asked)


Profile = Callable[[], BrowserContext]


@pytest.fixture
def profile(playwright: Playwright, chromium: str, tmp_path: Path) -> Iterator[Profile]:
    """A function that starts a browser on one and the same profile."""
    opened: list[BrowserContext] = []

    def start() -> BrowserContext:
        folder = tmp_path / "profile"
        opened.append(playwright.chromium.launch_persistent_context(folder, executable_path=chromium, args=FLAGS))
        return opened[-1]

    yield start
    for context in opened:
        context.close()


def end(context: BrowserContext, folder: Path) -> None:
    context.close()


def kill(context: BrowserContext, folder: Path) -> None:
    with context.expect_event("close"):
        os.kill(main_process(folder), signal.SIGKILL)


def main_process(folder: Path) -> int:
    """The browser that has its profile there; its children say of what type they are."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words = path.read_bytes()
        if f"--user-data-dir={folder}".encode() in words and b"--type=" not in words:
            return int(path.parent.name)
    raise AssertionError(f"no browser has its profile in {folder}")


@pytest.mark.parametrize("ending", [end, kill], ids=["closed", "killed"])
def test_answers_survive_the_browser(
    profile: Profile, live: Live, demo: Path, tmp_path: Path, ending: Callable[[BrowserContext, Path], None]
) -> None:
    labeler = Labeler(profile().new_page(), live.url, read_truth(demo)).open()
    labeler.page.wait_for_selector("[data-boot][data-queue='5']")
    refuse(labeler)
    asked = labeler.answer_truly(3)
    labeler.until(outbox="offline", kept="3")
    ending(labeler.page.context, tmp_path / "profile")
    next_day = Labeler(profile().new_page(), live.url, labeler.truth).open()
    next_day.saved()
    assert stored(demo, labeler, asked)
