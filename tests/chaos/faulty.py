"""`annotator`, except that the server dies between a commit and its reply when it is told to.

    python -m chaos.faulty FOLDER serve ...

FOLDER/die: the next answer is stored, its uuid is written to FOLDER/died, and the reply is never sent.
FOLDER/lie: answers are acknowledged and never stored. The suite must notice (its own test).
Every request names its person in X-Person, so that eight people share one loopback address.
"""

import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from flask import Flask, request

from annotator import cli, serving
from annotator.pages import shared
from annotator.store import project

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Faulty:
    """The application, with a hand on what leaves it."""

    def __init__(self, app: App, folder: Path) -> None:
        self.app, self.folder = app, folder

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/api/label":
            return self.app(environ, start_response)
        if (self.folder / "lie").exists():
            start_response("200 OK", [("Content-Type", "application/json")])
            return [b'{"ok": true, "duplicate": false}']
        asked = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(asked)
        with closing(self.app(environ, start_response)) as chunks:
            reply = b"".join(chunks)
        if json.loads(reply).get("duplicate") is False and self._must_die():
            (self.folder / "died").write_text(json.loads(asked)["uuid"])
            os.kill(os.getpid(), signal.SIGKILL)
        return [reply]

    def _must_die(self) -> bool:
        try:
            (self.folder / "die").unlink()
        except FileNotFoundError:
            return False
        return True


def named_person() -> int:
    return project.person_id(shared.database(), request.headers["X-Person"])


def main() -> None:
    folder = Path(sys.argv.pop(1))
    create_app = serving.create_app

    def create_faulty(*args: Any, **more: Any) -> Flask:
        app = create_app(*args, **more)
        app.wsgi_app = Faulty(app.wsgi_app, folder)  # type: ignore[method-assign]
        return app

    serving.create_app = create_faulty
    shared.person_id = named_person
    cli.main()


if __name__ == "__main__":
    main()
