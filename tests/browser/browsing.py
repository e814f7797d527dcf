"""What the browser tests do with a page, as a person would."""

import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Request, Response

from learner.datasets.embedded import digits_images

ROOT = "[data-boot]"


class Problems(list[str]):
    """Errors in the console, uncaught exceptions, failed and refused requests."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: set[Request] = set()
        self._meant: set[Request] = set()

    def watch(self, context: BrowserContext) -> None:
        context.on("console", lambda message: message.type == "error" and self._complained(message.text))
        context.on("weberror", lambda error: self.append(str(error.error)))
        context.on("request", lambda request: self._asked.add(request))
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)

    def clear(self) -> None:
        """Those until now were meant, and so is what is still to come of the requests made until now:
        a page may show a refusal before the news of it is here."""
        super().clear()
        self._meant |= self._asked

    def _complained(self, text: str) -> None:
        if not text.startswith("Failed to load resource"):  # the request's own news says more
            self.append(text)

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # a page that goes away abandons what it asked for
            self._note(request, f"{request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._note(response.request, f"{response.status} {response.url}")

    def _note(self, request: Request, text: str) -> None:
        if request not in self._meant:
            self.append(text)


class Labeler:
    """Somebody at the keyboard of the label page who knows what the images show."""

    def __init__(self, page: Page, url: str, truth: dict[int, str]) -> None:
        self.page, self.url, self.truth = page, url, truth

    def open(self) -> "Labeler":
        self.page.goto(self.url)
        self.look()
        return self

    def state(self, name: str) -> str:
        """A data attribute of the page's root."""
        return self.page.get_attribute(ROOT, f"data-{name}") or ""

    def look(self, other_than: int | str = "") -> int:
        """The image on the screen, once it is another one and can be seen."""
        self.page.wait_for_selector(f"{ROOT}:not([data-image='{other_than}']):not([data-image=''])")
        self.page.wait_for_selector("#picture img")
        return int(self.state("image"))

    def press(self, key: str) -> int:
        """Press a key that answers; returns the image that it answered."""
        image = self.look()
        self.page.keyboard.press(key)
        self.look(other_than=image)
        return image

    def answer_truly(self, count: int) -> list[int]:
        """The images answered, oldest first."""
        return [self.press(self.truth[self.look()]) for _ in range(count)]

    def walk_back(self, count: int) -> None:
        """Press the left arrow so often, and see the picture."""
        for _ in range(count):
            self.page.keyboard.press("ArrowLeft")
        self.until(viewing="past")
        self.page.wait_for_selector("#picture img")

    def until(self, **state: str) -> None:
        """Wait for data attributes of the root."""
        self.page.wait_for_selector(ROOT + "".join(f"[data-{name}='{value}']" for name, value in state.items()))

    def badge(self, text: str) -> None:
        """Wait until the badge says this."""
        self.page.wait_for_selector(f"#outbox-short:text-is('{text}')")

    def saved(self) -> None:
        self.until(outbox="saved", kept="0")

    def verdicts(self) -> list[str]:
        """The captions of the last answers, newest first."""
        return self.page.locator("#past .verdict").all_text_contents()


class Server:
    """`annotator serve` that can be stopped and started again on the same address."""

    def __init__(self, folder: Path, instance: Path, classes: str, *options: str) -> None:
        self.port = 0
        self.command = [sys.executable, "-m", "annotator", "serve", str(folder), "--classes", classes, *options]
        self.command += ["--instance", str(instance), "--no-browser", "--audit-share", "0"]

    def __enter__(self) -> "Server":
        self.process = subprocess.Popen([*self.command, "--port", str(self.port)], stdout=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()  # type: ignore[union-attr]
        self.url = re.search(r"http://\S+", first).group()  # type: ignore[union-attr]
        self.port = urlsplit(self.url).port or 0
        return self

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0


def read(path: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of an SQLite file that another process writes."""
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def read_truth(instance: Path) -> dict[int, str]:
    """Image id -> the digit it shows, which is its class's key."""
    _, classes = digits_images()
    rows = read(instance / "labels.db", "SELECT image_id, name FROM files")
    return {image: str(classes[int(re.search(r"\d+", name).group())]) for image, name in rows}  # type: ignore[union-attr]


def photo_truth(instance: Path) -> dict[int, str]:
    """Image id -> key of the true class of the photos: 07-dog.png is a dog, key 2."""
    rows = read(instance / "labels.db", "SELECT image_id, name FROM files")
    return {image: "1" if "cat" in name else "2" for image, name in rows}


def answers(instance: Path) -> dict[int, str]:
    """Image id -> name of the class that stands."""
    sql = "SELECT image_id, name FROM answers JOIN classes ON classes.id = class_id"
    return dict(read(instance / "labels.db", sql))


def predicted(instance: Path, number: int) -> dict[int, int]:
    """Image id -> the class's id that the model of a round says."""
    (folder,) = read(instance / "labels.db", "SELECT folder FROM rounds WHERE number = ?", number)[0]
    return dict(read(instance / folder / "predictions.db", "SELECT image_id, class_id FROM predictions"))
