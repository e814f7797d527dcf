"""Pictures that cannot be loaded: the page goes on with others, and nobody is asked over and over."""

import json
import time
import urllib.request
from pathlib import Path

import pytest
from browsing import ROOT, Labeler, Problems, Server, photo_truth, read
from playwright.sync_api import BrowserContext

pytestmark = pytest.mark.long


@pytest.fixture
def server(photos: Path, tmp_path: Path) -> Server:
    return Server(photos, tmp_path / "instance", "cat,dog", "--no-learner", "--seed", "1")


def wait_for_import(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}api/status") as reply:
            if json.load(reply)["status"]["importing"] is None:
                return
        time.sleep(0.05)
    raise TimeoutError("the import")


def test_a_picture_that_is_gone_is_passed_over_once(
    context: BrowserContext, server: Server, photos: Path, tmp_path: Path, problems: Problems
) -> None:
    with server:
        wait_for_import(server.url)
        ids = {
            name: image for image, name in read(tmp_path / "instance" / "labels.db", "SELECT image_id, name FROM files")
        }
        gone = {ids[path.name] for path in sorted(photos.iterdir())[:20]}
        for path in sorted(photos.iterdir())[:20]:
            path.unlink()
        asked: list[str] = []
        context.on("request", lambda request: "/image/" in request.url and asked.append(request.url))
        labeler = Labeler(context.new_page(), server.url, photo_truth(tmp_path / "instance")).open()
        answered = labeler.answer_truly(15)
        labeler.saved()
        labeler.page.close()
    assert not gone & set(answered)
    assert len(asked) == len(set(asked))
    problems[:] = [problem for problem in problems if "404" not in problem]


def test_a_folder_that_is_gone_is_named_and_work_goes_on_when_it_is_back(
    context: BrowserContext, server: Server, photos: Path, problems: Problems
) -> None:
    with server:
        wait_for_import(server.url)
        photos.rename(photos.with_name("away"))
        page = context.new_page()
        claims: list[float] = []
        page.on("request", lambda request: request.url.endswith("/api/next") and claims.append(time.monotonic()))
        page.goto(server.url)
        page.wait_for_selector(f"text=The folder {photos} is not there")
        page.wait_for_timeout(3_000)
        assert len(claims) <= 4  # one at first, one each pulse
        photos.with_name("away").rename(photos)
        page.wait_for_selector(f"{ROOT}:not([data-image=''])")
        page.close()
