"""The Export page: choose, see, take away."""

import csv
import json
import zipfile
from pathlib import Path

import pytest
from browsing import Labeler, Problems, Server, read
from playwright.sync_api import BrowserContext, Page

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def server(photos: Path, tmp_path: Path) -> Server:
    return Server(photos, tmp_path / "instance", f"{HOSTILE},dog", "--no-learner", "--seed", "1")


def labeled(context: BrowserContext, server: Server) -> Page:
    """The page after five answers: two of the first class, three of the second."""
    labeler = Labeler(context.new_page(), server.url, {}).open()
    for key in "12212":
        labeler.press(key)
    labeler.saved()
    labeler.page.goto(server.url + "export")
    labeler.page.wait_for_selector("#said:text-is('5 files')")
    return labeler.page


def taken(page: Page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.press("#download", "Enter")
    download.value.save_as(folder / download.value.suggested_filename)
    return folder / download.value.suggested_filename


@pytest.mark.long
def test_a_file_and_a_folder_with_the_keyboard(context: BrowserContext, server: Server, tmp_path: Path) -> None:
    with server:
        page = labeled(context, server)
        with taken(page, tmp_path).open(newline="", encoding="utf-8") as file:
            assert sorted(row["class"] for row in csv.DictReader(file)) == [HOSTILE] * 2 + ["dog"] * 3
        page.focus("input[name=format]:checked")
        while page.locator("input[name=format]:checked").get_attribute("value") != "ultralytics":
            page.keyboard.press("ArrowDown")
        page.fill("[name='ultralytics.val']", "0")
        page.press("#filters summary", "Enter")
        page.press(f"[name=only_class][value='{HOSTILE}']", "Space")
        page.press("#manifest", "Space")
        page.wait_for_selector("#said:text-is('2 files')")
        assert "<img src=x" in (page.text_content("#command") or "")
        assert "--set val=0.0" in (page.text_content("#command") or "")
        with zipfile.ZipFile(taken(page, tmp_path)) as archive:
            assert archive.testzip() is None
            assert len([name for name in archive.namelist() if "/train/" in name and name.endswith(".png")]) == 2
            manifest = json.loads(archive.read("ultralytics/manifest.json"))
        page.close()
    assert [file["class"] for file in manifest["files"]] == [HOSTILE] * 2
    sql = "SELECT sha256 FROM current JOIN images ON images.id = image_id WHERE class_id = 1"
    assert {file["sha256"] for file in manifest["files"]} == {sha for (sha,) in read(server_store(tmp_path), sql)}


def server_store(folder: Path) -> Path:
    return folder / "instance" / "labels.db"


@pytest.mark.long
def test_the_page_says_what_cannot_be_and_copies_the_command(
    context: BrowserContext, server: Server, problems: Problems
) -> None:
    with server:
        page = labeled(context, server)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.click("#copy")
        page.wait_for_selector("#said:text-is('Copied.')")
        assert page.evaluate("navigator.clipboard.readText()") == page.text_content("#command")
        page.click("#filters summary")
        page.fill("[name=since]", "soon")
        page.press("[name=since]", "Tab")
        page.wait_for_selector("#trouble:has-text('not a time')")
        assert page.is_disabled("#download")
        problems.clear()
        page.fill("[name=since]", "2020-01-01")
        page.press("[name=since]", "Tab")
        page.wait_for_selector("#download:enabled")
        page.check("input[value=coco]")
        assert page.is_disabled("[name=unlabeled]")
        page.check("input[value=model]")
        page.wait_for_selector("#filters", state="hidden")
        page.wait_for_selector("#command:has-text('export model')")
        page.close()
