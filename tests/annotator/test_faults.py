"""The disk fails under the server: one clear error, nothing is lost, and work goes on when the cause is gone."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_pages import Browser

from annotator import create_app
from annotator.cli import main
from annotator.store import db as store
from annotator.store import pool

connect = store.connect


@pytest.fixture
def browser(instance: Path, monkeypatch: pytest.MonkeyPatch) -> Browser:
    monkeypatch.setattr(pool, "MOST", 0)  # faults are put into new connections
    return Browser(create_app(instance).test_client())


@contextmanager
def on_every_connection(monkeypatch: pytest.MonkeyPatch, pragma: str) -> Iterator[None]:
    def limited(path: Path) -> store.Database:
        db = connect(path)
        db.execute(f"PRAGMA {pragma}")
        return db

    with monkeypatch.context() as patch:
        patch.setattr(store, "connect", limited)
        yield


@contextmanager
def read_only_disk(instance: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with on_every_connection(monkeypatch, "query_only = ON"):
        yield


@contextmanager
def locked(instance: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.2)
    with closing(sqlite3.connect(instance / store.FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def truncated(instance: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = instance / store.FILE
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    path.write_bytes(whole[: 2 * 4096])
    yield
    path.write_bytes(whole)


FAULTS: dict[str, tuple[Callable, str]] = {
    "read-only disk": (read_only_disk, "cannot be written"),
    "locked": (locked, "another program keeps the labels locked"),
    "truncated": (truncated, "labels.db is damaged"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_that_cannot_be_stored_is_refused_for_now_and_arrives_later(browser, instance, fault, monkeypatch):
    happen, said = FAULTS[fault]
    first, second = (item["image"] for item in browser.next(2))
    assert browser.say(first, "before").status_code == 200
    with happen(instance, monkeypatch):
        answer = browser.say(second, "meanwhile")
        assert answer.status_code == 503
        assert said in answer.json["error"]
        assert "\n" not in answer.json["error"]
    assert browser.say(second, "meanwhile").json == {"ok": True, "duplicate": False}
    with closing(sqlite3.connect(instance / store.FILE)) as db:
        assert db.execute("SELECT uuid FROM labels ORDER BY id").fetchall() == [("before",), ("meanwhile",)]


def test_answers_stop_being_acknowledged_when_the_disk_is_full_and_none_is_lost(browser, instance, monkeypatch):
    (item,) = browser.next()
    with closing(sqlite3.connect(instance / store.FILE)) as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
    with on_every_connection(monkeypatch, f"max_page_count = {pages}"):
        stored = 0
        while (reply := browser.say(item["image"], f"u{stored}")).status_code == 200:  # the same image, corrected
            stored += 1
    assert (reply.status_code, stored > 0) == (503, True)
    assert "the disk is full" in reply.json["error"]
    assert browser.say(item["image"], f"u{stored}").json == {"ok": True, "duplicate": False}
    with closing(sqlite3.connect(instance / store.FILE)) as db:
        assert db.execute("SELECT uuid FROM labels ORDER BY id").fetchall() == [(f"u{n}",) for n in range(stored + 1)]


def test_the_command_line_says_it_in_one_line(instance, monkeypatch):
    happen, said = FAULTS["truncated"]
    with happen(instance, monkeypatch):
        result = CliRunner().invoke(main, ["export", "csv", "--instance", str(instance)])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert said in result.output


def test_labels_are_stored_while_the_images_are_away_and_images_come_back(browser, photos):
    (item,) = browser.next()
    photos.rename(photos.with_name("away"))
    assert browser.client.get(item["url"]).status_code == 404
    assert browser.say(item["image"]).status_code == 200
    reply = browser.post("/api/next", {"tab": browser.tab, "count": 3, "have": []}).json
    assert reply["items"] == []
    assert f"The folder {photos} is not there" in reply["waiting"]
    photos.with_name("away").rename(photos)
    (again,) = browser.next()
    with browser.client.get(again["url"]) as picture:
        assert picture.status_code == 200
