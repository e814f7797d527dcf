"""Whatever is sent, and whatever lies in the folder: an answer in one line, no traceback, and nothing good is lost."""

import json
import os
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_images import SEEDS, SMALL, encoded, oriented
from test_importing import Place, picture
from test_pages import Browser

from annotator import create_app
from annotator.store import classes

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\..*")


def bounded(examples: int) -> settings:
    """The same examples each time, so many."""
    return settings(max_examples=examples, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Browser]]:
    """Six images, the first of which has a label."""
    place = Place(tmp_path_factory.mktemp("fuzz"), ("cat", "dog"))
    for number in range(6):
        picture(place.photos / f"{number}.png")
    place.scan()
    browser = Browser(app := create_app(place.instance).test_client())
    app.application.config["PROPAGATE_EXCEPTIONS"] = True  # what would be a traceback in the log fails the test
    assert browser.say(1, "good").json == {"ok": True, "duplicate": False}
    yield place, browser
    place.db.close()


def is_safe(place: Place) -> bool:
    """The good label is still there, unchanged."""
    return place.all("SELECT image_id, kind, class_id FROM labels WHERE uuid = 'good'") == [(1, "label", 1)]


NUMBERS = st.integers() | st.sampled_from([0, 1, 6, 7, -1, 2**31, 2**53, 2**53 + 1, 2**63, 10**300])
LEAVES = st.none() | st.booleans() | NUMBERS | st.floats() | st.text(max_size=70)
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=5) | st.dictionaries(st.text(max_size=5), v, max_size=3))
CLASS_CHANGE = {
    "action": "edit", "class": 1, "name": "kitten", "key": "3", "colour": "#aa0000", "guidance": "Small.",
    "into": 2, "place": 1,
}  # fmt: skip
BODIES = {
    "/api/label": {
        "tab": "tab-1", "uuid": "u", "image": 2, "kind": "label", "class": 1, "undoes": "good", "via": "typed",
        "seconds": 1.2, "model": 1, "suggested": 2, "shown": True,
    },
    "/api/next": {"tab": "tab-1", "count": 2, "have": [1, 2]},
    "/api/release": {"tab": "tab-1", "images": [1, 2]},
    "/api/heartbeat": {"tab": "tab-1", "images": [1, 2]},
    "/api/learner/pause": {"paused": False},
    "/api/rescan": {"folder": "/"},
    "/api/upload": {"files": "x"},
    "/api/settings": {
        "method": "propagate", "method_settings": {"alpha": "0.5"}, "strategy": "margin", "strategy_settings": {},
        "loop": {"query_size": "5"}, "together": {"overlap": "2", "overlap_share": "0.5"},
    },
    "/api/classes/preview": CLASS_CHANGE,
    "/api/classes/change": CLASS_CHANGE,
}  # fmt: skip


KINDS = st.sampled_from(["label", "skip", "undo", "flag", "unsure"]) | st.text(max_size=8)
OFTEN = {
    "kind": KINDS,
    "action": st.sampled_from([*classes.ACTIONS]),
    "uuid": st.uuids().map(str),
}  # else all would be the same answer again


def mutated(path: str) -> st.SearchStrategy[dict]:
    """A valid body with a few fields of another value, or without them."""
    valid = BODIES[path]
    often = st.fixed_dictionaries({name: values for name, values in OFTEN.items() if name in valid})
    changes = st.dictionaries(st.sampled_from([*valid, "x"]), VALUES, max_size=3)
    gone = st.sets(st.sampled_from([*valid]), max_size=1)
    made = st.tuples(often | st.just({}), changes, gone)
    return made.map(lambda parts: {k: v for k, v in {**valid, **parts[0], **parts[1]}.items() if k not in parts[2]})


def bodies(path: str) -> st.SearchStrategy[bytes]:
    return (mutated(path) | mutated(path) | VALUES).map(lambda value: json.dumps(value).encode()) | st.binary()


def check(place: Place, browser: Browser, path: str, body: bytes) -> None:
    headers = {"X-CSRFToken": browser.token, "Content-Type": "application/json"}
    answer = browser.client.post(path, data=body, headers=headers)
    assert answer.status_code in (200, 400, 404, 409)
    assert answer.json["ok"] is (answer.status_code == 200)
    if not answer.json["ok"]:
        assert answer.json["error"]
        assert len(answer.json["error"].splitlines()) == 1
    assert is_safe(place)


@bounded(400)
@given(bodies("/api/label"))
@example(json.dumps(BODIES["/api/label"] | {"uuid": "good"}).encode())
@example(json.dumps(BODIES["/api/label"] | {"kind": "undo", "image": 1}).encode())
@example(json.dumps(BODIES["/api/label"] | {"seconds": 10**300}).encode())
@example(json.dumps(BODIES["/api/label"] | {"seconds": 10**400}).encode())
@example(json.dumps(BODIES["/api/label"] | {"uuid": "\ud800"}).encode())
@example(json.dumps(BODIES["/api/label"] | {"tab": "\ud800"}).encode())
@example(b'{"uuid": ' + b"[" * 20_000 + b"]" * 20_000 + b"}")
def test_whatever_is_sent_as_a_label_is_stored_or_refused_in_one_line(site, body):
    check(*site, "/api/label", body)


@pytest.mark.parametrize("path", [path for path in BODIES if path != "/api/label"])
@bounded(60)
@given(data=st.data())
def test_whatever_is_sent_to_the_other_routes_is_done_or_refused_in_one_line(site, path, data):
    check(*site, path, data.draw(bodies(path)))


def test_every_route_that_changes_something_is_fuzzed(site):
    rules = site[1].client.application.url_map.iter_rules()
    assert {rule.rule for rule in rules if "POST" in rule.methods and rule.rule.startswith("/api/")} <= BODIES.keys()


TEXTS = st.text(max_size=30) | NUMBERS.map(str) | st.sampled_from(["96", "1600", "../x", "\0", "' OR 1=1 --"])


@bounded(150)
@given(TEXTS, TEXTS, TEXTS)
@example(str(2**63), "96", "")
@example("1", "9" * 5000, "")
@example("9" * 5000, "96", "")
def test_an_image_is_shown_or_there_is_none(site, image, size, version):
    path = f"/image/{quote(image, safe='')}?size={quote(size)}&v={quote(version)}"
    answer = site[1].client.get(path, buffered=True)
    assert answer.status_code in (200, 308, 400, 404)
    assert answer.mimetype in ("image/png", "image/jpeg", "text/html")
    assert (answer.status_code == 200) == answer.mimetype.startswith("image/")


@bounded(100)
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_address_is_a_page_or_there_is_none(site, path, query):
    answer = site[1].client.get(f"/{quote(path)}?{quote(query)}", buffered=True)
    assert answer.status_code in (200, 308, 404, 405)


FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "ICO")
PICTURES = [encoded(SMALL.repeat(5, 0).repeat(5, 1), format) for format in FORMATS]
PICTURES += [encoded(SMALL, "PNG", exif=oriented(6)), encoded(SMALL[..., 0].astype(np.uint16) * 257)]
CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6)


def apply(data: bytes, changes: list[tuple[int, int]], cut: int, more: bytes) -> bytes:
    found = bytearray(data[: len(data) - cut])
    for position, value in changes:
        found[position % len(found)] = value
    return bytes(found) + more


DAMAGED = st.builds(apply, st.sampled_from(PICTURES + SEEDS), CHANGES, st.integers(0, 40), st.binary(max_size=10))
FILES = st.lists(st.binary(max_size=300) | DAMAGED | DAMAGED, min_size=4, max_size=12)
FILE_NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: not {0, 47} & {*name} and name[:1] != b".")


@bounded(40)
@given(FILES)
def test_whatever_lies_in_the_folder_the_good_image_is_imported(contents):
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        pixels = picture(place.photos / "good.png")
        for number, content in enumerate(contents):
            (place.photos / f"{number}.jpg").write_bytes(content)
        counts = place.scan()
        assert (place.pixels()["good.png"] == pixels).all()
        assert counts.files == len(contents) + 1
        assert len(place.images()) + counts.aside == counts.files
        assert all(len(reason.splitlines()) == 1 for reason in place.problems().values())
        place.db.close()


@bounded(20)
@given(st.sets(FILE_NAMES.map(lambda name: name + b".png"), min_size=4, max_size=12))
def test_whatever_files_are_called_they_are_imported(names):
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        for name in names:
            picture(place.photos / os.fsdecode(name))
        assert place.scan().images == len(names)
        assert {path for (path,) in place.all("SELECT path FROM files")} == names
        place.db.close()


@bounded(150)
@given(DAMAGED, st.booleans())
def test_a_file_that_changed_after_the_import_is_a_clear_error_or_an_image(site, changed, known):
    """`known`: even with a store that says that this is the content."""
    place, browser = site
    content = sha256(changed).hexdigest() if known else "0" * 64
    (place.photos / "5.png").write_bytes(changed)
    image = place.images()["5.png"]
    place.db.execute("UPDATE images SET sha256 = ? WHERE id = ?", [content, image])
    answer = browser.client.get(f"/image/{image}", buffered=True)
    assert answer.status_code in ((200, 400) if known else (404,))
    assert (answer.status_code == 200) == answer.mimetype.startswith("image/")
    assert known or "its content has changed" in answer.text
