"""A real Chromium on a real server. Without a browser these tests fail: they are never skipped."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Labeler, Problems, read_truth
from live import Live, serving
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail("these tests need Chromium: apt-get install chromium, or CHROMIUM=/path/to/it", pytrace=False)
    return path


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    yield launched
    launched.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The instance folder of `live`."""
    return tmp_path_factory.mktemp("demo") / "instance"


@pytest.fixture(scope="session")
def live(demo: Path) -> Iterator[Live]:
    """The demo, ready: images imported, the first query chosen. Ten answers make a round."""
    options = ["--seed", "4", "--query-size", "10", "--set", "second_look_share=0"]  # every image is a new one
    with serving("demo", "--instance", str(demo), *options, cwd=demo.parent) as server:
        server.until("/api/status", lambda answer: answer["status"]["query"]["size"])
        yield server
        server.until("/api/status", lambda answer: answer["status"]["learner"]["activity"] == "ready")
        time.sleep(0.5)  # the last page's farewell may be on its way


@pytest.fixture
def problems() -> Iterator[Problems]:
    """What went wrong in the test's pages; at the end there must be nothing."""
    found = Problems()
    yield found
    assert found == []


@pytest.fixture
def context(browser: Browser, problems: Problems) -> Iterator[BrowserContext]:
    """A browser profile of its own."""
    profile = browser.new_context(viewport={"width": 1280, "height": 800})
    problems.watch(profile)
    yield profile
    profile.close()


@pytest.fixture
def labeler(context: BrowserContext, live: Live, demo: Path) -> Labeler:
    """The label page of the demo with the first image on the screen."""
    return Labeler(context.new_page(), live.url, read_truth(demo)).open()
