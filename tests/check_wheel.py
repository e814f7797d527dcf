"""Run an installed annotator's demo from an empty folder and fetch a page, a module and an image.

    python3 tests/check_wheel.py PATH/TO/annotator

Needs nothing but the standard library. Exits with an error when anything is missing from the wheel.
"""

import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode("utf-8", "replace")


def first_image_seconds(url: str, started: float) -> float:
    """Seconds from the command until the first image can be seen."""
    while True:
        try:
            fetch(url + "image/1")
            return time.monotonic() - started
        except OSError:
            if time.monotonic() - started > 120:
                raise
            time.sleep(0.1)


def main(annotator: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        command = [str(annotator.resolve()), "demo", "--no-browser", "--port", "0"]
        server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            url = re.search(r"http://\S+", server.stdout.readline()).group()
            page, seconds = fetch(url), first_image_seconds(url, started)
            statics = re.findall(r'"/(static/[^"]+)"', page)
            sizes = [len(fetch(url + static)) for static in statics]
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(30)
    assert "data-boot=" in page, "the label page has no boot data"
    assert statics, "the label page names no static file"
    assert all(sizes), "a static file is empty"
    assert code == 0, f"SIGTERM ended it with exit code {code}"
    print(f"wheel: page, {len(statics)} static files and the first image after {seconds:.1f} s; ended cleanly")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
