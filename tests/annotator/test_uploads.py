"""New images while the server runs: sent by a browser, or found in the folder."""

import io
import os
import re
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from test_jobs import until
from test_pages import Browser

from annotator import create_app, security, uploads
from annotator.cli import main
from annotator.importing.folder import scan
from annotator.jobs import Supervisor
from annotator.store import db as store
from annotator.store import images, rounds
from annotator.store.lock import alone


def png(shade: int = 77, side: int = 5) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 1, 2)).save(out, "PNG")
    return out.getvalue()


class Sender(Browser):
    """A browser that sends files, and counts the looks for new images that it asks for."""

    def __init__(self, instance: Path) -> None:
        self.looks = 0
        super().__init__(create_app(instance, rescan=self._look).test_client())

    def _look(self) -> None:
        self.looks += 1

    def send(self, *files: tuple[str, bytes], path: str = "/api/upload"):
        data = {"files": [(io.BytesIO(content), name) for name, content in files]}
        return self.client.post(path, data=data, headers={"X-CSRFToken": self.token})


@pytest.fixture
def sender(instance: Path) -> Sender:
    return Sender(instance)


def names(photos: Path) -> list[str]:
    return sorted(path.name for path in (photos / uploads.FOLDER).iterdir())


def test_what_was_sent_becomes_an_image(sender, instance, photos):
    answer = sender.send(("a.png", png()), ("b.png", png(78))).json
    assert answer == {"ok": True, "stored": ["a.png", "b.png"], "refused": []}
    assert (photos / "uploads/a.png").read_bytes() == png()
    counts = scan(instance, lambda done, total: None, lambda: False)
    assert (counts.new, counts.aside) == (2, 0)


def test_a_file_never_replaces_another(sender, photos):
    for shade in (1, 2, 3):
        sender.send(("a.png", png(shade)))
    assert names(photos) == ["a-2.png", "a-3.png", "a.png"]
    assert [(photos / "uploads" / name).read_bytes() for name in ("a.png", "a-2.png", "a-3.png")] == [
        png(1), png(2), png(3),
    ]  # fmt: skip


def test_where_the_disk_has_no_links_a_file_never_replaces_another_either(sender, photos, monkeypatch):
    def refuse(*paths):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for shade in (1, 2):
        sender.send(("a.png", png(shade)))
    assert [(photos / "uploads" / name).read_bytes() for name in names(photos)] == [png(2), png(1)]


NAMES = {
    "../../evil.png": "evil.png", "/etc/x.png": "x.png", ".hidden.png": "hidden.png",
    "thumbs.db": "_thumbs.db", "CON.png": "_CON.png", "<b>.png": "_b_.png", "..": "_", "a/": "_",
    "x\u202e.png": "x_.png",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_made_safe_and_stays_in_the_folder(sender, instance, photos, name):
    before = set(photos.parent.rglob("*"))
    assert sender.send((name, png())).json["stored"] == [NAMES[name]]
    new = {path for path in set(photos.parent.rglob("*")) - before if not path.is_relative_to(instance)}
    assert new == {photos / "uploads", photos / "uploads" / NAMES[name]}
    assert scan(instance, lambda done, total: None, lambda: False).new == 1


BAD = {
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"), "a text": (b"hello", "not an image"),
    "nothing": (b"", "an empty file"), "half of one": (png(side=50)[:80], "damaged"), "a PDF": (b"%PDF-1.7", "PDF"),
    "a page": (b"<!doctype html><script>alert(1)</script>", "not an image"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_image_is_refused_in_one_line_and_the_others_are_kept(sender, photos, kind):
    content, reason = BAD[kind]
    answer = sender.send(("<i>x.png", content), ("good.png", png())).json
    assert answer["stored"] == ["good.png"]
    ((refused),) = answer["refused"]
    assert refused["name"] == "<i>x.png"
    assert reason in refused["reason"]
    assert names(photos) == ["good.png"]


def test_a_picture_that_is_there_is_not_kept_twice(sender, photos):
    answer = sender.send(("again.png", (photos / "07-dog.png").read_bytes())).json
    assert answer["refused"] == [{"name": "again.png", "reason": "this picture is there already: 07-dog.png"}]
    assert names(photos) == []


def test_a_link_that_leads_out_is_not_followed(sender, photos, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (photos / "uploads").symlink_to(tmp_path / "elsewhere")
    answer = sender.send(("a.png", png()))
    assert answer.status_code == 400
    assert "leads out" in answer.json["error"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(sender, photos, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads.copy, "sync", full)
    answer = sender.send(("a.png", png()))
    assert answer.status_code == 503
    assert "the disk is full" in answer.json["error"]
    assert names(photos) == []


def test_too_much_at_once_is_refused_and_only_uploads_may_be_large(sender, photos, monkeypatch):
    assert sender.send(("a.png", b"x" * security.MAX_BODY_BYTES)).status_code == 200
    monkeypatch.setattr(security, "MAX_UPLOAD_BYTES", 2000)
    assert sender.send(("a.png", b"x" * 3000)).status_code == 413
    assert sender.send(("a.png", b"x" * (security.MAX_BODY_BYTES + 1)), path="/api/rescan").status_code == 413


@pytest.mark.parametrize("path", ["/api/upload", "/files/upload"])
def test_nothing_is_kept_without_a_token_or_without_files(sender, photos, path):
    data = {"files": (io.BytesIO(png()), "a.png")}
    assert sender.client.post(path, data=data).status_code == 400
    assert sender.send(path=path).status_code == 400
    assert not (photos / "uploads").exists()


def test_the_form_works_without_javascript(sender, photos):
    html = sender.client.get("/files").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', html).group(1)
    data = {"csrf_token": token, "files": [(io.BytesIO(png()), "a.png"), (io.BytesIO(b"x"), "<b>bad")]}
    answer = sender.client.post("/files/upload", data=data)
    assert answer.status_code == 200
    assert "1 file stored, 1 refused" in answer.text
    assert "&lt;b&gt;bad: not an image" in answer.text
    assert sender.looks == 1
    again = sender.client.post("/files/rescan", data={"csrf_token": token})
    assert (again.status_code, again.location, sender.looks) == (303, "/files", 2)
    assert "See how far it is" in sender.client.get("/files").text


def test_a_server_that_reads_no_images_names_the_command(instance):
    answer = Browser(create_app(instance).test_client()).post("/api/rescan", {})
    assert (answer.status_code, "annotator rescan" in answer.json["error"]) == (400, True)


def test_the_command_finds_new_images_and_says_so_to_the_pages(instance, photos):
    (photos / "new.png").write_bytes(png())
    (photos / "broken.png").write_bytes(b"x")
    result = CliRunner().invoke(main, ["rescan", "--instance", str(instance)])
    assert result.output.strip() == "42 files: 41 images that can be asked, 1 of them new, 1 set aside"
    with closing(store.connect(instance / store.FILE)) as db:
        assert rounds.process(db, "import")["activity"] == "complete"


def test_the_command_waits_for_no_other_import_and_does_not_speak_for_it(instance, photos):
    with closing(store.connect(instance / store.FILE)) as db:
        with store.write(db):
            rounds.tell(db, "import", activity="reading")
        with alone(instance / "cache" / "import.lock"):
            result = CliRunner().invoke(main, ["rescan", "--instance", str(instance)])
        assert (result.exit_code, "another import" in result.output) == (1, True)
        assert rounds.process(db, "import")["activity"] == "reading"


def test_a_running_server_finds_what_was_added_each_time_it_is_asked(instance, photos):
    supervisor = Supervisor(instance, learner=False)
    supervisor.start()
    try:
        with closing(store.connect(instance / store.FILE)) as db:
            until(lambda: supervisor.jobs[0].finished)
            for number in (1, 2):
                (photos / f"new-{number}.png").write_bytes(png(number))
                supervisor.rescan()
                until(lambda wanted=40 + number: images.counts(db)["images"] == wanted)
            until(lambda: supervisor.jobs[0].finished)
            assert rounds.process(db, "import")["restarts"] == 0
    finally:
        supervisor.stop()
