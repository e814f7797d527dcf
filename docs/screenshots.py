"""Make the pictures in docs/: starts the demo, answers truly, photographs the pages. Needs Chromium.

python docs/screenshots.py [--answers 320]
"""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from playwright.sync_api import Browser, Page, sync_playwright

from annotator.pages import PAGES
from learner.datasets.embedded import digits_images

DOCS = Path(__file__).parent
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 360, "height": 780}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def truth(instance: Path) -> dict[str, str]:
    """Image id -> the digit it shows."""
    _, classes = digits_images()
    rows = sqlite3.connect(instance / "labels.db").execute("SELECT image_id, name FROM files").fetchall()
    return {str(image): str(classes[int(re.search(r"\d+", name).group())]) for image, name in rows}


def label(page: Page, known: dict[str, str], count: int) -> None:
    """Answer so many images with the keyboard."""
    for _ in range(count):
        page.wait_for_selector("main[data-image]:not([data-image=''])")
        page.wait_for_selector("#picture img")  # an image that nobody has seen takes no answer
        image = page.get_attribute("main[data-image]", "data-image")
        page.keyboard.press(known[image])
        page.wait_for_selector(f"main[data-image]:not([data-image='{image}'])")


def photograph(browser: Browser, url: str, name: str) -> None:
    for suffix, size, scheme in (("", WIDE, "light"), ("-dark", WIDE, "dark"), ("-narrow", NARROW, "light")):
        page = browser.new_page(viewport=size, color_scheme=scheme)
        page.goto(url)
        page.wait_for_timeout(2500)
        page.screenshot(path=DOCS / f"{name}{suffix}.png")
        page.close()


@click.command()
@click.option("--answers", default=320, show_default=True)
def main(answers: int) -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        instance = Path(folder) / "instance"
        command = [
            sys.executable,
            "-m",
            "annotator",
            "demo",
            "--no-browser",
            "--port",
            "0",
            "--instance",
            str(instance),
        ]
        server = subprocess.Popen([*command, "--seed", "4"], stdout=subprocess.PIPE, text=True)
        url = re.search(r"http://\S+", server.stdout.readline()).group()
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport=WIDE)
        page.goto(url)
        time.sleep(5)
        label(page, truth(instance), answers)
        page.wait_for_timeout(5000)
        page.close()
        for name in (name for name, page in PAGES.items() if page.title):
            photograph(browser, url + ("" if name == "label" else name), name)
        browser.close()
        server.send_signal(signal.SIGTERM)
        server.wait()


if __name__ == "__main__":
    main()
