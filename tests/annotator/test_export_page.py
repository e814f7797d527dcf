"""The export page: what it sends is what the command line writes."""

import io
import json
import os
import shlex
import time
import zipfile

import pytest
from click.testing import CliRunner
from places import CLASSES, everything, opening

from annotator import create_app, export, images
from annotator.cli import main
from annotator.export import FORMATS
from annotator.pages import export as page

FILES = [name for name, row in FORMATS.items() if row.of_labels and not row.entries and not row.extra]
FOLDERS = [name for name, row in FORMATS.items() if row.entries]


@pytest.fixture
def place(tmp_path):
    """Six images labeled with five hostile classes, one left."""
    with opening(tmp_path) as make:
        made = make(*(f"{number}.png" for number in range(7)))
        for number in range(6):
            made.answer(f"{number}.png", CLASSES[number % 5])
        yield made


@pytest.fixture
def client(place):
    return create_app(place.instance).test_client()


def unpack(data, target):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        archive.extractall(target)


def left(instance):
    """What lies in the folder that downloads are made in."""
    return list((instance / page.SCRATCH).glob("*"))


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_sent_as_the_command_line_writes_it(place, client, name):
    place.export(name)
    with client.get(f"/export/download?format={name}") as answer:
        assert answer.data == (place.root / "out").read_bytes()
        assert answer.headers["Content-Disposition"] == f"attachment; filename={FORMATS[name].out}"
    assert left(place.instance) == []


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_sent_as_an_archive_of_what_the_command_line_writes(place, client, name):
    place.export(name)
    with client.get(f"/export/download?format={name}") as answer:
        assert (answer.status_code, answer.mimetype) == (200, "application/zip")
        assert answer.is_streamed
        unpack(answer.data, place.root / "zip")
    assert contents(place.root / "zip" / FORMATS[name].out) == contents(place.root / "out")


@pytest.mark.parametrize("name", ["csv", "imagefolder"])
def test_filters_and_manifest_come_with_the_address(place, client, name):
    address = {"format": name, "only_class": ["cat", "../x"], "manifest": "yes", "person": "", "since": ""}
    with client.get("/export/download", query_string=address) as answer:
        unpack(answer.data, place.root / "zip")
    (path,) = (place.root / "zip").rglob("*manifest.json")
    manifest = json.loads(path.read_text("utf-8"))
    assert manifest["filters"]["only_class"] == ["cat", "../x"]
    assert [(file["path"], file["people"]) for file in manifest["files"]] == [
        ("0.png", ["local"]), ("1.png", ["local"]), ("5.png", ["local"]),
    ]  # fmt: skip
    assert (manifest["selected"], manifest["written"], manifest["skipped"]) == (3, 3, [])
    assert left(place.instance) == []


@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if row.of_labels and not row.extra])
def test_the_sample_is_made_of_this_project(client, name):
    answer = client.get(f"/api/export?format={name}").json
    assert answer["files"] == 6
    assert "png" in answer["sample"]


def test_the_sample_of_a_folder_shows_its_files_and_its_text(client):
    sample = client.get("/api/export?format=imagefolder").json["sample"]
    assert "labeled/cat/0.png" in sample.splitlines()
    assert "labeled/classes.json" in sample.splitlines()


def test_a_sample_of_a_large_project_looks_at_the_last_answers(client, monkeypatch):
    from annotator.export import sample

    monkeypatch.setattr(sample, "CHEAP", 0)
    answer = client.get("/api/export?format=csv&unlabeled=yes").json
    assert answer["files"] is None
    assert len(answer["sample"].splitlines()) == 4


def test_a_sample_of_nothing_is_a_header(client):
    answer = client.get("/api/export?format=csv&source=tail&since=2100-01-01").json
    assert (answer["files"], answer["sample"].count("\n")) == (0, 0)


@pytest.mark.parametrize(
    "address",
    [
        {"format": "csv", "only_class": ["cat", "../x"], "since": "2026-01-01", "agreed": "yes"},
        {"format": "csv", "only_class": ['comma, "quote"'], "audit": "exclude", "unlabeled": "yes"},
        {"format": "ultralytics", "ultralytics.val": "0.5", "manifest": "yes"},
        {"format": "labelstudio", "labelstudio.prefix": "/a b/?d=", "person": "local"},
    ],
)
def test_the_command_does_the_same(place, client, address, monkeypatch):
    monkeypatch.chdir(place.root)
    command = shlex.split(client.get("/api/export", query_string=address).json["command"])
    assert CliRunner().invoke(main, command[1:], catch_exceptions=False).exit_code == 0
    with client.get("/export/download", query_string=address) as answer:
        out = place.root / FORMATS[address["format"]].out
        if out.is_file():
            assert answer.data == out.read_bytes()
        else:
            unpack(answer.data, place.root / "zip")
            assert contents(out).items() <= contents(place.root / "zip" / out.name).items()


def test_an_option_that_looks_like_one_is_a_value(client, place):
    place.rename(["--manifest"], [])
    command = client.get("/api/export", query_string={"only_class": "--manifest"}).json["command"]
    assert "--only-class=--manifest" in shlex.split(command)


@pytest.mark.parametrize("path", ["/api/export", "/export/download"])
@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("format=xml", "unknown format"),
        ("format=ultralytics&ultralytics.val=2", "it lies from 0 to 0.9"),
        ("format=ultralytics&ultralytics.val=0.6&ultralytics.test=0.6", "leave nothing to train"),
        ("only_class=cow", "unknown class"),
        ("audit=maybe", "choose from include"),
        ("since=soon", "is not a time"),
        ("format=coco&unlabeled=yes", "cannot hold images without a label"),
        ("format=model&manifest=yes", "takes no filters"),
    ],
)
def test_what_cannot_be_is_one_clear_line(place, client, path, address, named):
    answer = client.get(f"{path}?{address}")
    assert (answer.status_code, named in answer.text) == (400, True)
    assert left(place.instance) == []


def test_without_a_model_there_is_none_to_take(client):
    answer = client.get("/export/download?format=model")
    assert (answer.status_code, "no model yet" in answer.text) == (400, True)


def test_the_model_is_an_archive(learned):
    client = create_app(learned).test_client()
    with client.get("/export/download?format=model") as answer, zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert {name.rpartition("/")[2] for name in archive.namelist()} == {"model.json", "model.safetensors"}
    assert left(learned) == []


@pytest.mark.parametrize("is_there", [False, True])
def test_a_format_whose_library_is_missing_cannot_be_chosen(client, is_there, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: object() if is_there else None)
    html = client.get("/export").text
    assert ("annotator[parquet]" in html) != is_there
    assert html.count(" disabled") == (0 if is_there else 2)


def test_links_are_for_the_command_line(client):
    assert 'name="imagefolder.links"' not in client.get("/export").text
    assert "links=" not in client.get("/api/export?format=imagefolder&imagefolder.links=yes").json["command"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_elsewhere_starts_no_export(client, site):
    assert client.get("/export/download", headers={"Sec-Fetch-Site": site}).status_code == 403


def test_hostile_names_are_text_on_the_page(client):
    assert "<img src=x" not in client.get("/export").text
    assert "&lt;img src=x" in client.get("/export").text


def test_the_page_reads_no_picture_and_writes_nothing_but_in_the_instance(place, client, monkeypatch):
    def never(*arguments):
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr(images, "read", never)
    before = everything(place.root)
    for name in (name for name in FORMATS if not FORMATS[name].extra):
        client.get(f"/api/export?format={name}")
        client.get(f"/export/download?format={name}").close()
    added = {path for path in everything(place.root) - before if not path.name.startswith("labels.db")}
    assert {path.parts[:2] for path in added} <= {("instance", "exports"), ("instance", "secret")}


def test_what_a_killed_server_left_goes_after_a_day(place, client):
    old, running = place.instance / "exports/old", place.instance / "exports/running"
    for folder in (old, running):
        folder.mkdir(parents=True)
        (folder / "labels.csv").touch()
    os.utime(old, (0, time.time() - 2 * page.OLD))
    client.get("/export/download?format=csv").close()
    assert left(place.instance) == [running]


def test_what_another_request_took_away_meanwhile_is_no_trouble(place, client):
    (place.instance / "exports").mkdir()
    (place.instance / "exports/gone").symlink_to(place.instance / "nowhere")  # listed, and not there to be looked at
    assert client.get("/api/export?format=csv").status_code == 200


def test_an_answer_that_nobody_reads_to_the_end_leaves_nothing(place, client):
    for name in ("csv", "imagefolder"):
        client.get(f"/export/download?format={name}", buffered=False).close()
    assert left(place.instance) == []
