"""New images through the files page, in a real browser."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Labeler, Problems, Server, photo_truth
from PIL import Image
from playwright.sync_api import BrowserContext, Page

NAME = "<img src=x onerror=alert(1)>.png"


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 90, 90)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def server(photos: Path, tmp_path: Path) -> Iterator[Server]:
    with Server(photos, tmp_path / "instance", "cat,dog", "--no-learner") as running:
        yield running


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Iterator[Page]:
    opened = context.new_page()
    opened.goto(server.url + "files")
    shows(opened, 40)
    yield opened
    opened.close()


def shows(page: Page, count: int) -> None:
    page.wait_for_selector(f"#images:text-is('{count}')")


def test_images_are_sent_and_found_and_asked(page: Page, server: Server, photos: Path, tmp_path: Path) -> None:
    files = [
        {"name": "a.png", "mimeType": "image/png", "buffer": png(1)},
        {"name": NAME, "mimeType": "image/png", "buffer": b"no image"},
    ]
    page.set_input_files("#files", files)
    page.focus("#upload button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said:has-text('Done: 41 images')")
    assert page.locator("#refused li").all_text_contents() == [
        f"{NAME}: not an image, or of a format that is not supported"
    ]
    assert [path.name for path in (photos / "uploads").iterdir()] == ["a.png"]
    (photos / "copied.png").write_bytes(png(2))
    page.focus("#rescan button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said:has-text('Done: 42 images')")
    labeler = Labeler(page, server.url, photo_truth(tmp_path / "instance")).open()
    labeler.look()


@pytest.mark.long
def test_files_can_be_dropped(page: Page, photos: Path) -> None:
    drop = """([name, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
        document.querySelector("#add").dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
    }"""
    page.evaluate(drop, ["dropped.png", list(png(3))])
    page.wait_for_selector("#said:has-text('Done: 41 images')")
    assert [path.name for path in (photos / "uploads").iterdir()] == ["dropped.png"]


def test_a_file_that_is_too_large_is_not_even_sent(page: Page, photos: Path) -> None:
    page.route("**/api/upload", lambda route: route.abort())
    page.evaluate("""() => {
        const data = new DataTransfer();
        const file = new File(["x"], "huge.png");
        Object.defineProperty(file, "size", { value: 2 ** 27 });
        data.items.add(file);
        const event = new Event("drop", { cancelable: true });
        event.dataTransfer = { files: [file] };
        document.querySelector("#add").dispatchEvent(event);
    }""")
    page.wait_for_selector("#refused li:has-text('huge.png: larger than 64 MB')")
    assert not (photos / "uploads").exists()


@pytest.mark.long
def test_the_forms_work_without_javascript(context: BrowserContext, server: Server, problems: Problems, photos) -> None:
    plain = context.browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    page.goto(server.url + "files")
    page.set_input_files("#files", {"name": "a.png", "mimeType": "image/png", "buffer": png(4)})
    page.click("#upload button")
    page.wait_for_selector("#said:has-text('1 file stored, 0 refused')")
    (photos / "b.png").write_bytes(png(5))
    page.click("#rescan button")
    for _ in range(100):
        if page.text_content("#images") == "42":
            break
        page.wait_for_timeout(100)
        page.goto(server.url + "files")
    assert page.text_content("#images") == "42"
    plain.close()
