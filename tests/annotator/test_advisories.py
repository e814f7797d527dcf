"""What went wrong in other annotation tools does not go wrong here: one test per advisory, named after it.

Left out, as the thing does not exist here:
- CVE-2022-36551, CVE-2023-47116, CVE-2022-31188, CVE-2024-40441, CVE-2025-25297 (requests to addresses that a user
  names: import by URL, redirects, a labeling service, S3): nothing is fetched; tests below hold that.
- GHSA-cpmr-mw4j-99r7 (off-by-slash in a shipped nginx configuration): no proxy configuration is shipped.
- CVE-2026-47682 (paths out of cloud storage): there is no cloud storage; paths on disk are in test_importing.py.
- CVE-2026-23516, CVE-2026-65986 (SVG skeletons, assets of guides): there are neither; SVG itself is refused below.
- CVE-2022-36551's other half (registration open by default): there are no accounts; the token is in test_pages.py.
"""

import ast
import io
import json
import os
import pickle
import re
import socket
import sqlite3
import tomllib
from hashlib import sha256
from html.parser import HTMLParser
from importlib.metadata import requires
from pathlib import Path
from urllib.parse import quote

import pytest
import torch
from click.testing import CliRunner
from flask import Flask
from packaging.requirements import Requirement
from PIL import Image
from safetensors import torch as safetensors
from sqlite_utils import Database
from test_pages import HOSTILE, Browser

from annotator import create_app, security
from annotator.cli import main
from annotator.errors import AnnotatorError
from annotator.export import csv, imagefolder
from annotator.importing.folder import scan
from annotator.originals import printable
from annotator.predicting import predict_folder
from annotator.serving import found
from annotator.store import db as store
from annotator.store import images, project
from learner import checkpoint
from learner.errors import LearnerError
from learner.models import weights
from learner.models.wrn import WideResNet

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for package in ("annotator", "learner") for path in (ROOT / package).rglob("*.py"))
CLASS = "</script>'\"><img src=x onerror=alert(1)>{{7*7}}"


@pytest.fixture
def app(instance: Path) -> Flask:
    return create_app(instance)


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app.test_client())


def get_paths(app: Flask) -> list[str]:
    """Every page and every answer that can be asked for, about image 1."""
    rules = [rule for rule in app.url_map.iter_rules() if "GET" in rule.methods and rule.endpoint != "static"]
    return [re.sub(r"<[^>]*>", "1", rule.rule) for rule in rules]


class Markup(HTMLParser):
    """The tags and the names of their attributes, in order: what a browser would build, without the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, ...]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, *(name for name, _ in attrs)))


def rescan(instance: Path) -> None:
    scan(instance, lambda done, total: None, lambda: False)


def test_cve_2023_43791_every_instance_has_a_random_secret_of_its_own(make_instance):
    """A key that everybody knows lets everybody forge sessions."""
    instances = [make_instance(name) for name in ("one", "two")]
    secrets = {create_app(instance).secret_key for instance in instances}
    assert len(secrets) == 2
    assert min(map(len, secrets)) >= 40
    assert {(instance / "secret").stat().st_mode & 0o777 for instance in instances} == {0o600}


def test_cve_2023_43791_no_secret_stands_in_the_code():
    """A default in the source is a key that everybody knows."""
    named = re.compile(r"(?i)secret_?key\s*=\s*[\"']")
    assert [path.name for path in SOURCES if named.search(path.read_text())] == []


def test_cve_2023_47117_no_query_parameter_becomes_sql(app, monkeypatch):
    """Filters that a stranger names walk to columns that he should not see."""
    said, execute = [], Database.execute
    monkeypatch.setattr(Database, "execute", lambda self, sql, *rest: said.append(sql) or execute(self, sql, *rest))
    names = ("size", "v", "id", "sort", "order", "filter", "class", "person", "offset", "limit", "page", "q")
    query = "&".join(f"{name}={quote('1 marker) OR 1=1; DROP TABLE labels --')}" for name in names)
    answers = [app.test_client().get(f"{path}?{query}", buffered=True) for path in get_paths(app)]
    assert max(answer.status_code for answer in answers) < 500
    assert said
    assert not [sql for sql in said if "marker" in sql]


@pytest.mark.parametrize("path", ["/image/1?size=96", "/image/1", "/image/2?size=1600&name=x.html"])
def test_cve_2023_47115_an_image_is_served_as_the_type_that_was_made_here(app, path):
    """Served by the suffix of an upload, an avatar was a page with script."""
    with app.test_client().get(path) as answer:
        assert answer.mimetype == f"image/{Image.open(io.BytesIO(answer.data)).format.lower()}"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


DOCUMENTS = {
    "page.png": b"<!doctype html><script>alert(1)</script>",
    "page.jpg": b"<html><body onload=alert(1)>",
    "drawing.jpg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "prologue.png": b"<?xml version='1.0'?><!DOCTYPE svg><svg xmlns='http://www.w3.org/2000/svg'/>",
    "order mark.png": b"\xef\xbb\xbf<svg/>",
    "script.gif": b"alert(1)//",
}


def test_ghsa_fq23_g58m_799r_a_document_named_as_an_image_is_not_served(instance, photos, app):
    """A file imported as an image came back as a page."""
    before = images.counts(store.connect(instance / store.FILE))["images"]
    for name, content in DOCUMENTS.items():
        (photos / name).write_bytes(content)
    rescan(instance)
    db = store.connect(instance / store.FILE)
    assert images.counts(db)["images"] == before
    assert {row["name"] for row in images.set_aside(db)} == set(DOCUMENTS)
    assert app.test_client().get(f"/image/{before + 1}").status_code == 404


def test_ghsa_fq23_g58m_799r_markup_inside_an_image_does_not_reach_the_browser(instance, photos, app):
    """A picture can be a page at the same time."""
    Image.new("RGB", (5, 5), "red").save(photos / "both.gif", comment=b"<script>alert(1)</script>")
    (photos / "both.gif").write_bytes((photos / "both.gif").read_bytes() + b"<script>alert(1)</script>")
    rescan(instance)
    with app.test_client().get("/image/41") as answer:
        assert answer.status_code == 200
        assert b"script" not in answer.data


def test_cve_2024_26152_names_of_classes_and_files_are_never_markup(instance, photos, app):
    """Class names and file names are what an attacker may write."""

    def pages() -> dict[str, list[tuple[str, ...]]]:
        answers = {path: app.test_client().get(path, buffered=True) for path in get_paths(app)}
        return {path: Markup(answer.text).found for path, answer in answers.items() if answer.mimetype == "text/html"}

    def put(name: str) -> None:
        for old in photos.glob("*broken*"):
            old.unlink()
        file = name.replace("/", "\u2215")
        (photos / f"{file} broken.png").write_text("no image")
        (photos / f"{file} broken too.png").write_bytes((photos / "00-cat.png").read_bytes())
        rescan(instance)

        db = store.connect(instance / store.FILE)
        with store.write(db):
            db["classes"].update(1, {"name": name})
            project.put(db, name=name, import_notes=[name])
        app.config["PROJECT"]["name"] = name

    put("plain")
    before = pages()
    put(CLASS)
    assert {"/", "/files", "/progress"} <= before.keys()
    assert pages() == before


def test_cve_2025_25296_and_47783_nothing_of_a_request_comes_back_as_markup(app):
    """The same page reflected script twice: first by GET, then by POST."""
    bad = quote(HOSTILE)
    asked = [{"path": f"/{bad}"}, {"path": f"/image/{bad}"}, {"path": "/files", "query_string": f"q={bad}"}]
    asked += [{"path": "/files", "headers": {"Host": HOSTILE}}, {"path": f"/static/{bad}"}]
    asked += [{"path": "/api/label", "method": "POST", "headers": {"Origin": HOSTILE}}]
    asked += [{"path": "/files", "method": "POST", "data": {"q": HOSTILE}}]
    for arguments in asked:
        answer = app.test_client().open(**arguments)
        assert answer.mimetype != "text/html" or "<img src=x" not in answer.text


def test_cve_2026_22033_keys_come_from_the_list_and_nobody_can_set_one(make_instance, photos, tmp_path):
    """A key that a user could choose carried script into other people's pages."""
    instance = tmp_path / "keys"
    found(instance, "keys", photos, [HOSTILE, "<", "'", "é", "a", "u", "\u202e", "q"], {})
    db = store.connect(instance / store.FILE)
    keys = [row["key"] for row in project.classes(db)]
    assert set(keys) <= {*project.CLASS_KEYS}
    assert len(set(keys)) == len(keys)
    browser = Browser(create_app(instance).test_client())
    browser.say(1, key="<script>", keys={"1": "<script>"})
    assert [row["key"] for row in project.classes(db)] == keys


def calls(path: Path) -> set[str]:
    """What a file calls and imports, as it is written there."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            plain = any(ast.unparse(keyword) == "weights_only=True" for keyword in node.keywords)
            found.add(ast.unparse(node.func) + (", weights only" if plain else ""))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_what_a_file_calls_is_seen(tmp_path):
    (tmp_path / "a.py").write_text("import pickle as p\nfrom torch import load\ntorch.load(f)\napp.run()")
    assert {"pickle", "torch.load", "app.run"} <= calls(tmp_path / "a.py")


UNPICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "torch.load"}
UNPICKLES |= {"torch.hub", "torch.jit.load", "joblib.load", "eval", "exec", "yaml.load"}


def test_cve_2025_5173_and_23045_nothing_is_unpickled():
    """torch.load ran what a checkpoint said; a tracker's state came back from the client as a pickle."""
    assert [path for path in SOURCES if calls(path) & UNPICKLES or "allow_pickle=True" in path.read_text()] == []


@pytest.fixture
def model(tmp_path: Path) -> Path:
    checkpoint.save_net(tmp_path / "model", WideResNet(2, 10, 1).eval(), ["cat", "dog"], (8, 8))
    return tmp_path / "model"


class Bomb:
    """Unpickled, it would leave a file."""

    def __reduce__(self):
        return (os.mkdir, ("unpickled",))


def changed(weights: bytes, change) -> bytes:
    return safetensors.save({name: change(tensor) for name, tensor in safetensors.load(weights).items()})


TAMPERED = {
    "a pickle": lambda weights: pickle.dumps(Bomb()),
    "cut in the middle": lambda weights: weights[: len(weights) // 2],
    "cut in the header": lambda weights: weights[:20],
    "empty": lambda weights: b"",
    "a header of many bytes": lambda weights: b"\xff" * 8 + weights[8:],
    "other tensors": lambda weights: safetensors.save({"x": torch.zeros(1)}),
    "not a number": lambda weights: changed(weights, lambda tensor: tensor * float("nan")),
    "of another kind": lambda weights: changed(weights, lambda tensor: tensor.double()),
}


@pytest.mark.parametrize("name", TAMPERED)
@pytest.mark.parametrize("hash_too", [False, True])
def test_cve_2025_5173_a_tampered_model_is_refused_in_one_line(model, photos, tmp_path, monkeypatch, name, hash_too):
    """A checkpoint from a stranger is data, whatever its name says."""
    monkeypatch.chdir(tmp_path)
    weights = TAMPERED[name]((model / checkpoint.WEIGHTS).read_bytes())
    (model / checkpoint.WEIGHTS).write_bytes(weights)
    meta = json.loads((model / checkpoint.META).read_text())
    if hash_too:
        (model / checkpoint.META).write_text(json.dumps(meta | {"weights_sha256": sha256(weights).hexdigest()}))
    with pytest.raises(LearnerError, match=r"damaged|does not belong") as raised:
        predict_folder(photos, tmp_path / "out.csv", model)
    assert len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 500
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize(
    "meta",
    [{"image_size": size} for size in ([0, 0], [-1, 8], [10**9, 10**9], [float("inf"), 8], ["8", 8], 8)]
    + [{"classes": ["\ud800", "dog"]}],
)
def test_cve_2025_5173_a_tampered_description_is_refused_in_one_line(model, meta):
    """What stands beside the weights is as foreign as they are."""
    path = model / checkpoint.META
    path.write_text(json.dumps(json.loads(path.read_text()) | meta))
    with pytest.raises(LearnerError, match="damaged") as raised:
        checkpoint.load(model)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("wrapped", [lambda bomb: bomb, lambda bomb: {"state_dict": {"conv1.0.weight": bomb}}])
def test_cve_2025_5173_a_file_of_pretrained_weights_runs_nothing(tmp_path, monkeypatch, wrapped):
    """What torch.save wrote may hold anything; only tensors are taken out of it."""
    monkeypatch.chdir(tmp_path)
    torch.save(wrapped(Bomb()), tmp_path / "w.pth")
    with pytest.raises(LearnerError, match="holds no plain weights") as raised:
        weights.read(tmp_path / "w.pth")
    assert len(str(raised.value).splitlines()) == 1
    assert not (tmp_path / "unpickled").exists()


def labeled(instance: Path) -> Database:
    """The store, with image 1 labeled."""
    assert Browser(create_app(instance).test_client()).say(1).status_code == 200
    return store.connect(instance / store.FILE)


STORED = [b"../../etc/passwd", b"/etc/passwd", b"../photos-evil/00-cat.png", b"a/../../photos-evil/00-cat.png"]
STORED += [b"..", b".", b"", b"a\0.png", "../../etc/passwd", 7]  # SQLite keeps what it is given


@pytest.mark.parametrize("path", STORED, ids=ascii)
def test_cve_2025_25295_a_path_changed_in_the_store_leaves_nothing_of_other_files(instance, photos, tmp_path, path):
    """An export read ../../etc/passwd because the import had once looked at the path."""
    evil = photos.with_name("photos-evil")
    evil.mkdir()
    db = labeled(instance)
    name, stored = db.execute("SELECT name, path FROM files WHERE image_id = 1").fetchone()
    (evil / "00-cat.png").write_bytes((photos / os.fsdecode(stored)).read_bytes())
    db.execute("UPDATE files SET path = ? WHERE image_id = 1", [path])
    before = {file for file in tmp_path.rglob("*") if not file.is_relative_to(instance)}
    report = imagefolder.export(instance, db, tmp_path / "out")
    assert (report.written, [skipped for skipped, _ in report.skipped]) == (0, [name])
    written = {file for file in tmp_path.rglob("*") if not file.is_relative_to(instance)} - before
    assert written == {tmp_path / "out", tmp_path / "out/classes.json"}
    assert csv.export(instance, db, tmp_path / "labels.csv").written == 1
    assert create_app(instance).test_client().get("/image/1").status_code == 404


def test_cve_2025_25295_a_name_changed_in_the_store_stays_in_the_folder_of_its_class(instance, tmp_path):
    """Names are not paths, wherever they come from."""
    db = labeled(instance)
    db.execute("UPDATE files SET name = '../../../../evil.png' WHERE image_id = 1")
    db.execute("UPDATE classes SET name = '../../evil' WHERE id = 1")
    assert imagefolder.export(instance, db, tmp_path / "out").written == 1
    assert not [path for path in tmp_path.rglob("*evil*") if not path.is_relative_to(tmp_path / "out")]


def test_cve_2026_133968_no_route_writes_a_file_that_the_request_names(app, instance, photos):
    """A data store took files by PUT, wherever their names led."""
    client = app.test_client()
    client.get("/")  # the store's own files are there from the first connection on
    before = sorted(photos.parent.rglob("*"))
    for path in ("/image/1", "/static/x.js", "/../x", "/%2e%2e/x", "/files", "/api/label"):
        for method in ("PUT", "PATCH", "DELETE"):
            assert client.open(path, method=method, data=b"x").status_code in (400, 404, 405)
    assert [path for path in sorted(photos.parent.rglob("*")) if path not in before] == []


@pytest.mark.parametrize("name", ["photos-evil", "photos2", "photos "])
def test_ghsa_q9m2_fhv9_3jcf_a_sibling_whose_name_begins_alike_is_outside(instance, photos, name):
    """/data/proj-evil starts with /data/proj, and is not in it."""
    outside = photos.with_name(name)
    outside.mkdir()
    Image.new("RGB", (3, 3), "red").save(outside / "a.png")
    (photos / "link.png").symlink_to(outside / "a.png")
    (photos / "relative.png").symlink_to(f"../{name}/a.png")
    rescan(instance)
    reasons = {row["name"]: row["reason"] for row in images.set_aside(store.connect(instance / store.FILE))}
    assert reasons.keys() == {"link.png", "relative.png"}
    assert all("leads out" in reason for reason in reasons.values())


def test_cve_2026_2108_learning_is_not_started_or_stopped_by_strangers(app, instance):
    """Whoever could reach it queued long tasks without end."""
    client, db = app.test_client(), store.connect(instance / store.FILE)

    def state() -> list[tuple]:
        tables = ("processes", "rounds", "queue", "labels", "loop_state", "counters")
        return [row for table in tables for row in db.execute(f"SELECT * FROM {table}").fetchall()]

    before = state()
    assert client.post("/api/learner/pause", json={"paused": True}).status_code == 400
    assert client.post("/api/learner/pause", data={"paused": "1"}).status_code == 400
    for path in get_paths(app):
        client.get(path, buffered=True)
    assert state() == before


def test_cve_2023_30861_a_session_is_not_shared_by_caches(instance):
    """A proxy that kept a page with its cookie gave one person's session to another."""
    client = create_app(instance, hosts=frozenset({"box"}), token="secret").test_client()
    first = client.get("/?token=secret")
    cookie = first.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
    for path in ("/", "/files", "/image/1", "/api/status", "/api/csrf"):
        with client.get(path) as answer:
            assert "Cookie" in answer.vary
            assert {"private", "no-store"} & set(answer.headers["Cache-Control"].split(", "))


def body(parts: int) -> bytes:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    return part * parts + b"--x--"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"x" * (security.MAX_BODY_BYTES + 1), "application/json"),
        (b"x" * (security.MAX_BODY_BYTES + 1), "application/x-www-form-urlencoded"),
        (body(1100), "multipart/form-data; boundary=x"),
        (body(5000), "multipart/form-data; boundary=x"),
    ],
)
def test_cve_2023_25577_and_46136_large_bodies_and_many_parts_are_refused(app, data, kind):
    """Parsing a body of many parts took a worker for minutes."""
    assert app.test_client().post("/api/label", data=data, content_type=kind).status_code == 413


DEBUGGERS = {"app.run", "run_simple", "werkzeug.serving.run_simple", "werkzeug.debug.DebuggedApplication"}


def test_cve_2019_14806_there_is_no_debugger_to_reach():
    """The debugger's PIN could be guessed."""
    said = re.compile(r"(?i)debug[\"']?\s*[=:]\s*True")
    assert [path for path in SOURCES if calls(path) & DEBUGGERS or said.search(path.read_text())] == []


def test_cve_2019_14806_an_error_shows_no_code(app, monkeypatch):
    """What went wrong inside is for the log."""
    assert not app.debug
    monkeypatch.setitem(app.view_functions, "files.page", lambda: 1 / 0)
    answer = app.test_client().get("/files")
    assert answer.status_code == 500
    assert not {"ZeroDivisionError", "Traceback", "lambda"} & set(re.findall(r"\w+", answer.text))


FLOORS = [("flask", "2.3.2"), ("werkzeug", "3.0.3"), ("waitress", "3.0.1"), ("pillow", "10.3"), ("jinja2", "3.1.2")]


@pytest.mark.parametrize(("name", "known_good"), FLOORS)
def test_cve_2023_30861_and_46136_versions_with_known_holes_are_not_installed(name, known_good):
    """A fix in a library helps only those who ask for it; what Flask asks for counts too."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    asked = [Requirement(line) for line in [*declared, *(requires("flask") or [])]]
    allowed = [line.specifier for line in asked if line.name.lower() == name]
    assert allowed
    assert not all(specifier.contains(f"{known_good}.dev0", prereleases=True) for specifier in allowed)


PATHS = ["/static/../secret", "/static/..%2fsecret", "/static/%2e%2e%2fsecret", "/static/%252e%252e/secret"]
PATHS += ["/static/..\\secret", "/static/a%00.js", "/static/%00", "/static/%2fetc%2fpasswd", "/static/C:%5csecret"]
PATHS += ["/static/.", "/static/vendor", "/static/~root", "/static/file:%2f%2f%2fetc%2fpasswd"]
PATHS += ["/image/%2fetc%2fpasswd", "/image/1%2f..%2f..%2fsecret", "/image/%252e%252e", "/image/..\\secret"]
PATHS += ["/image/1.png", "/image/0", "/image/1e3", "/image/" + "9" * 5000, f"/image/{2**63}", "/%ff"]


@pytest.mark.parametrize("path", PATHS)
def test_cve_2022_35918_no_path_leads_out_of_the_static_files_or_the_images(app, path):
    """A component's files were found by joining what the browser said."""
    answer = app.test_client().get(path, follow_redirects=True)
    assert answer.status_code == 404
    assert b"root:" not in answer.data


def test_cve_2022_36551_nothing_is_ever_fetched(instance, photos, monkeypatch):
    """Import by URL read other machines, and files, for strangers (and CVE-2023-47116, 2022-31188, 2024-40441)."""
    monkeypatch.setattr(socket.socket, "connect", lambda *args: pytest.fail("something was fetched"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: pytest.fail("a name was looked up"))
    place = photos / "http:" / "evil.example"
    place.mkdir(parents=True)
    Image.new("RGB", (3, 3), "red").save(place / "a.png?x=1", "PNG")
    for name in ("urls.txt", "http:%2F%2Fevil.example%2Fa.png", "file:%2F%2F%2Fetc%2Fpasswd", "a.url"):
        (photos / name).write_text("http://evil.example/a.png\nfile:///etc/passwd\n")
    (photos / "link.png").symlink_to("http://evil.example/a.png")
    rescan(instance)
    counted = images.counts(store.connect(instance / store.FILE))
    assert (counted["images"], counted["aside"]) == (41, 5)
    with create_app(instance).test_client().get("/image/41") as answer:
        assert answer.status_code == 200


CLIENTS = {"urllib.request", "http.client", "requests", "httpx", "aiohttp", "ftplib", "socket.create_connection"}


def test_cve_2022_36551_no_module_of_the_web_can_fetch():
    """What cannot send requests cannot be made to send them."""
    web = [path for path in SOURCES if path.is_relative_to(ROOT / "annotator")]
    assert [path for path in web if calls(path) & CLIENTS] == []


@pytest.mark.parametrize("folder", ["http://evil.example/photos", "file:///etc", "s3://bucket/photos"])
def test_cve_2022_36551_an_address_is_no_folder(folder, tmp_path):
    """The command line takes folders."""
    result = CliRunner().invoke(main, ["serve", folder, "--instance", str(tmp_path / "instance")])
    assert result.exit_code == 2
    assert "does not exist" in result.output


# what has no number of its own: research, part 4.4


@pytest.mark.parametrize("path", ["/", "/api/status", "/image/1"])
def test_no_other_site_may_read_an_answer(app, path):
    with app.test_client().get(path, headers={"Origin": "http://evil.example"}) as answer:
        assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_preflight_of_another_site_is_not_granted(app):
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = app.test_client().options("/api/label", headers=headers)
    assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


FORWARDED = {
    "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-For": "192.0.2.1", "X-Forwarded-Port": "1", "Forwarded": "host=evil.example;proto=https",
    "X-Original-URL": "/api/status", "X-HTTP-Method-Override": "DELETE",
}  # fmt: skip


def test_what_a_proxy_would_say_is_not_believed(instance):
    client = create_app(instance, hosts=frozenset({"box"}), token="secret").test_client()
    assert client.get("/", headers=FORWARDED).status_code == 401
    assert client.get("/?token=secret", headers=FORWARDED).location == "/"
    page = client.get("/", headers=FORWARDED)
    assert "evil" not in page.text
    assert "Secure" not in str(page.headers)
    lie = {"Host": "evil.example", "X-Forwarded-Host": "localhost"}
    assert client.get("/", headers=lie).status_code == 403


@pytest.mark.parametrize(
    "host", ["[::1", "[", "a:b:c", "localhost:x", "127.0.0.1@evil.example", "127.1", "0x7f.1", "."]
)
def test_a_name_pointed_at_this_machine_gets_nothing(app, host):
    assert app.test_client().get("/", headers={"Host": host}).status_code == 403


HARD_CLASSES = ["<img src=x onerror=alert(1)>", "../x", "CON", "🐈", "/etc/x", "a\0b", "\u202egnp.exe", ".", "~"]


def test_hostile_class_names_become_folders_inside_the_target(instance, tmp_path):
    db = store.connect(instance / store.FILE)
    with store.write(db):
        ids = [db["classes"].insert({"name": name, "key": ""}).last_pk for name in HARD_CLASSES]
    browser = Browser(create_app(instance).test_client())
    for image, class_id in enumerate(ids, 1):
        assert browser.say(image, f"u{image}", **{"class": class_id}).status_code == 200
    before = set(tmp_path.rglob("*"))
    assert imagefolder.export(instance, db, tmp_path / "out").written == len(HARD_CLASSES)
    assert {path for path in set(tmp_path.rglob("*")) - before if not path.is_relative_to(tmp_path / "out")} == set()
    folders = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    names = json.loads((tmp_path / "out/classes.json").read_text("utf-8"))
    assert {names[folder] for folder in folders} == set(HARD_CLASSES)
    assert "CON" not in folders
    assert all(name.isprintable() and not set(name) & set('<>:"/\\|?*') for name in folders)


def test_two_answers_under_one_number_keep_the_first(browser, instance):
    """Whoever guesses a number can neither read nor change what it stands for."""
    browser.say(1, "mine")
    assert browser.say(1, "mine", **{"class": 2}).status_code == 409
    with sqlite3.connect(instance / store.FILE) as db:
        assert db.execute("SELECT class_id FROM labels").fetchall() == [(1,)]


def test_an_export_beside_a_planted_link_is_refused(instance, tmp_path):
    db = labeled(instance)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/precious").touch()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AnnotatorError, match="not an empty folder"):
        imagefolder.export(instance, db, tmp_path / "out")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["precious"]


def test_a_csv_replaces_a_planted_link_and_not_what_it_points_to(instance, tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "labels.csv").symlink_to(tmp_path / "precious")
    csv.export(instance, labeled(instance), tmp_path / "labels.csv")
    assert (tmp_path / "precious").read_text() == "precious"
    assert printable(b"labels.csv") in {path.name for path in tmp_path.iterdir() if not path.is_symlink()}
