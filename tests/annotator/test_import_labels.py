"""Labels out of files: what is exported comes back, nothing comes twice, and every row that is refused is named."""

import csv
import multiprocessing
import os
import re
import signal
import time
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, settings
from places import CLASSES, names, opening

from annotator.cli import main
from annotator.export import FORMATS
from annotator.importing import SOURCES
from annotator.importing.labels import import_labels
from annotator.importing.rows import LONGEST_LINE, Asked
from annotator.importing.taking import Wish
from annotator.store import db as store
from annotator.store import project

DOC = Path(__file__).parents[2] / "docs/importing.md"
quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FILES = [f"{number}.png" for number in range(4)]
OURS = {  # format that we write -> source that reads it
    "csv": "csv", "jsonl": "jsonl", "prodigy": "prodigy",
    "labelstudio": "labelstudio", "labelstudio-min": "labelstudio",
}  # fmt: skip
NAMELESS = {"labelstudio-min", "prodigy"}  # these know an image by its path alone


@pytest.fixture
def make(tmp_path):
    """A function that makes a place with these files, below a folder of its own."""
    with opening(tmp_path) as place:
        yield place


@pytest.fixture
def place(make):
    """Four images without a label."""
    return make(*FILES)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two projects on images of the same content; the first one's are labeled."""
    with opening(tmp_path_factory.mktemp("one")) as first, opening(tmp_path_factory.mktemp("two")) as second:
        labeled, empty = first(*FILES), second(*FILES)
        for name, class_name in zip(FILES, CLASSES, strict=False):
            labeled.answer(name, class_name)
        yield labeled, empty


def take(place, path, **wish):
    """(the outcome, the first rows left out)."""
    asked = Asked(**{key: wish.pop(key) for key in list(wish) if key.endswith("_column")})
    report = wish.pop("report", None)
    _, outcome, left_out, _ = import_labels(place.instance, path, asked, Wish(**{"source": ""} | wish), report)
    return outcome, left_out


def write(place, text, name="labels.csv"):
    path = place.root / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(*lines):
    return "".join(f"{line}\n" for line in ("path,class", *lines))


def current(place):
    """File -> class that stands."""
    sql = """SELECT files.name, classes.name FROM current JOIN files USING (image_id)
        JOIN classes ON classes.id = class_id WHERE status = 'label'"""
    return dict(place.db.execute(sql).fetchall())


def stored(place):
    return place.db.execute("SELECT * FROM labels ORDER BY id").fetchall()


def forget(place):
    """What only a test may do: the project has no labels again."""
    place.db.execute("DROP TRIGGER IF EXISTS labels_are_never_deleted")
    place.db.execute("DELETE FROM labels")


@pytest.mark.parametrize("name", OURS)
@quick
@given(names=names(4))
def test_what_one_project_exports_another_imports(pair, name, names):
    labeled, empty = pair
    assume(name not in NAMELESS or len(set(names[1])) == 4)
    forget(empty)
    for place in pair:
        place.rename(*names)
    out = labeled.root / "out"
    row = FORMATS[name]
    row.load()(labeled.instance, labeled.db, out, row.settings())
    outcome, left_out = take(empty, out, source=OURS[name])
    assert left_out == []
    assert sorted(empty.truth()) == sorted(labeled.truth())
    before = stored(empty)
    again, _ = take(empty, out, source=OURS[name])
    assert (outcome.added, again.added, again.there) == (4, 0, 4)
    assert stored(empty) == before


def test_an_imported_label_says_where_it_came_from_and_takes_its_image_out_of_the_queue(place):
    place.db.execute(
        "INSERT INTO queue (image_id, source, round, rank) VALUES (?, 'query', 1, 0)", [place.image("0.png")]
    )
    take(place, write(place, "file;label;annotator\n0.png;cat;alice\n1.png;Cat;\n"), person="team")
    sql = "SELECT people.name, source, via, round FROM labels JOIN people ON people.id = person_id ORDER BY labels.id"
    assert place.db.execute(sql).fetchall() == [("alice", "import", "import", None), ("team", "import", "import", None)]
    assert place.db.execute("SELECT * FROM queue").fetchall() == []


def test_a_dry_run_says_the_same_and_changes_nothing(place):
    place.answer("3.png", "cat")
    path = write(place, rows("0.png,cat", "1.png,bird", "1.png,bird", "2.png,CON", "2.png,cat", "3.png,Cat", "x,cat"))
    before = stored(place), project.classes(place.db)
    would = take(place, path, new_classes=True, dry_run=True)
    assert (stored(place), project.classes(place.db)) == before
    assert take(place, path, new_classes=True) == would
    outcome, _ = would
    assert (outcome.added, outcome.there, outcome.conflicts, outcome.refused) == (3, 1, 1, 2)
    assert current(place) == {"0.png": "cat", "1.png": "bird", "2.png": "CON", "3.png": "cat"}


def test_every_row_that_is_left_out_is_named_with_its_line_and_reason(place):
    place.answer("3.png", "cat")
    text = rows(
        "0.png,cat", "x.png,cat", ",cat", "1.png,bird", "0.png,Cat", "3.png,Cat", "2.png", "2.png,", '"a', 'b",cat'
    )
    outcome, _ = take(place, write(place, text), report=place.root / "report.csv")
    with (place.root / "report.csv").open(newline="") as file:
        found = [(int(row["line"]), row["reason"]) for row in csv.DictReader(file)]
    assert sorted(line for line, _ in found) == [3, 4, 5, 6, 7, 8, 10]
    said = dict(found)
    for line, words in {
        3: "no image of the project", 4: "no path", 5: "no class 'bird'", 6: "line 2 says 'cat'",
        7: "local answered 'cat', which stands", 8: "1 columns, where the header has 2", 10: "no image",
    }.items():  # fmt: skip
        assert words in said[line]
    assert (outcome.added, outcome.empty, outcome.refused, outcome.conflicts) == (1, 1, 6, 1)


def test_what_a_person_says_replaces_what_a_file_said(place):
    path = write(place, rows("0.png,cat"))
    take(place, path)
    place.answer("0.png", "Cat")
    assert current(place) == {"0.png": "Cat"}
    outcome, _ = take(place, path)
    assert (outcome.added, outcome.conflicts) == (0, 1)
    assert current(place) == {"0.png": "Cat"}


def test_a_file_can_be_corrected_by_another_and_back(place):
    cat, dog = write(place, rows("0.png,cat"), "a.csv"), write(place, rows("0.png,Cat"), "b.csv")
    for path, name in ((cat, "cat"), (dog, "Cat"), (cat, "cat")):
        take(place, path)
        assert current(place) == {"0.png": name}
    assert len(stored(place)) == 3


def test_a_label_that_somebody_took_back_does_not_come_again(place):
    path = write(place, rows("0.png,cat"))
    take(place, path)
    with store.write(place.db):
        alice = project.person_id(place.db, "alice")
        sql = """INSERT INTO labels (uuid, image_id, kind, undoes, person_id, source, via, created)
            SELECT 'u', image_id, 'undo', uuid, ?, 'review', 'typed', '' FROM labels"""
        place.db.execute(sql, [alice])
    assert take(place, path)[0].added == 0
    assert current(place) == {}


def test_two_people_in_a_file_are_two_opinions(place):
    take(place, write(place, "path,class,person\n0.png,cat,alice\n0.png,Cat,bob\n0.png,cat,carol\n"))
    assert len(stored(place)) == 3
    assert current(place) == {"0.png": "cat"}


@pytest.mark.parametrize(
    "path",
    [
        "sub/café.png", "./sub/café.png", "sub\\café.png", "other/photos/sub/café.png", "C:\\data\\sub\\café.png",
        unicodedata.normalize("NFD", "sub/café.png"), "/data/local-files/?d=photos/sub/caf%C3%A9.png",
        "https://example.org/x/sub/caf%c3%a9.png?token=1", "/data/upload/3/0123abcd-caf%C3%A9.png", "café.png",
        "s3://bucket/caf%C3%A9.png",
    ],
)  # fmt: skip
def test_a_path_is_known_in_many_spellings(make, path):
    place = make("sub/café.png", "b.png")
    take(place, write(place, rows(f"{path},cat")))
    assert current(place) == {"sub/café.png": "cat"}


def test_the_longer_end_of_a_path_decides_and_a_name_that_several_have_is_refused(make):
    place = make("a/x.png", "b/x.png", "x.png")
    text = rows("/home/me/a/x.png,cat", "b\\x.png,Cat", "c/x.png,CON")
    take(place, write(place, text))
    assert current(place) == {"a/x.png": "cat", "b/x.png": "Cat", "x.png": "CON"}


def test_a_file_name_that_several_images_have_is_refused(make):
    place = make("d/y.png", "e/y.png")
    _, (left_out,) = take(place, write(place, rows("f/y.png,cat")))
    assert "several images fit" in left_out.reason


def test_content_counts_more_than_a_name_and_other_content_under_the_name_is_refused(place):
    sql = "SELECT files.name, sha256 FROM files JOIN images ON images.id = image_id"
    hashes = dict(place.db.execute(sql).fetchall())
    lines = [f"0.png,cat,{hashes['1.png'].upper()}", f"2.png,cat,{'0' * 64}", "3.png,cat,abc"]
    _, left_out = take(place, write(place, "path,class,sha256\n" + "\n".join(lines)))
    assert current(place) == {"1.png": "cat"}
    assert ["other content" in left_out[0].reason, "no SHA-256" in left_out[1].reason] == [True, True]


HEAVY = "x" * (LONGEST_LINE + 10)
HOSTILE = {
    "a mark at the start": (b"\xef\xbb\xbf" + rows("0.png,cat").encode(), 0),
    "UTF-16": (rows("0.png,cat").encode("utf-16"), 0),
    "Windows line ends": (rows("0.png,cat").replace("\n", "\r\n").encode(), 0),
    "another encoding": (rows("café.png,cat", "0.png,cat").encode("latin-1"), 1),
    "a class in another encoding": (rows("1.png,café", "0.png,cat").encode("latin-1"), 1),
    "NUL": (rows("a\0.png,cat", "0.png,c\0t", "0.png,cat").encode(), 2),
    "a huge field": (rows(f"{HEAVY},cat", "0.png,cat").encode(), 1),
    "a huge path": (rows("/a" * 5000 + ",cat", "0.png,cat").encode(), 1),
    "a quote that never ends": (rows("0.png,cat", '"1.png,cat', "2.png,cat").encode(), 1),
    "markup": (rows("<script>,<b>", "0.png,cat").encode(), 1),
    "ways out": (rows("../../etc/passwd,cat", "/etc/passwd,cat", "0.png,cat").encode(), 2),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_row_is_refused_and_the_good_ones_are_taken(place, name):
    content, refused = HOSTILE[name]
    outcome, left_out = take(place, write(place, content), new_classes=False)
    assert current(place) == {"0.png": "cat"}
    assert outcome.refused == len(left_out) == refused
    assert all(row.line and row.reason for row in left_out)


LINES = {
    "not JSON": "{path}", "not an object": "[1]", "deep": '{"path": ' + "[" * 100_000, "a number": "1" * 5000,
    "no class": '{"path": "1.png"', "a list": '{"path": "1.png", "class": ["cat", "Cat"]}',
    "an object": '{"path": "1.png", "class": {}}', "half a character": '{"path": "1.png", "class": "\\ud800"}',
    "half a path": '{"path": "\\ud800", "class": "cat"}', "long": '{"path": "' + HEAVY + '"}', "NaN": "NaN",
}  # fmt: skip


def test_every_bad_line_of_json_is_refused_by_its_number(place):
    good = '{"image": "0.png", "label": "cat", "more": {"x": 1}}'
    path = write(place, "\n".join([*LINES.values(), "", good]), "labels.jsonl")
    outcome, left_out = take(place, path, new_classes=True)
    assert current(place) == {"0.png": "cat"}
    assert outcome.refused == len(LINES)
    assert [row.line for row in left_out] == list(range(1, 11))


@pytest.mark.parametrize(
    ("text", "wish", "said"),
    [
        ("", {}, "holds no labels"),
        ("a,b\n1,2\n", {}, "name one of a, b with --path-column"),
        ("path,b\n1,2\n", {}, "name one of path, b with --class-column"),
        ("path,class\n", {"class_column": "kind"}, "has no column 'kind'; it has path, class"),
        ("path,class\n", {"person_column": "who"}, "has no column 'who'"),
        ("path,class\n", {"source": "xml"}, "unknown format 'xml'; choose from csv"),
        ("\0\1", {}, "holds no labels"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_one_clear_line(place, text, wish, said):
    with pytest.raises(Exception, match=said) as error:
        take(place, write(place, text, "file"), **wish)
    assert "\n" not in str(error.value)


def test_columns_can_be_named(place):
    take(place, write(place, "a,b,c\ncat,0.png,ann\n"), path_column="B", class_column="a", person_column="c")
    assert current(place) == {"0.png": "cat"}


def test_the_kind_is_found_by_content_where_the_name_does_not_say(place):
    take(place, write(place, '{"path": "0.png", "class": "cat"}\n', "labels"))
    take(place, write(place, rows("1.png,Cat"), "table"))
    assert current(place) == {"0.png": "cat", "1.png": "Cat"}


def _import_slowly(place_instance, path):
    """Killed by its parent in the middle."""
    from annotator.importing import taking

    taking.CHUNK = 1
    say = taking.imports.say

    def slow(*arguments):
        say(*arguments)
        time.sleep(0.05)

    taking.imports.say = slow
    import_labels(place_instance, path, Asked(), Wish(""))


def test_killed_in_the_middle_and_imported_again_equals_once(make):
    files = [f"{number}.png" for number in range(30)]
    place = make(*files)
    path = write(place, rows(*(f"{name},{'cat' if number % 2 else 'Cat'}" for number, name in enumerate(files))))
    process = multiprocessing.get_context("spawn").Process(target=_import_slowly, args=(place.instance, path))
    process.start()
    end = time.monotonic() + 60
    while len(stored(place)) < 5 and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    done = len(stored(place))
    assert 5 <= done < 30
    outcome, _ = take(place, path)
    assert (outcome.added, outcome.there) == (30 - done, done)
    once = {row[1:4] for row in stored(place)}
    forget(place)
    take(place, path)
    assert {row[1:4] for row in stored(place)} == once


@pytest.mark.long
def test_an_import_is_news_to_the_learner(instance, tmp_path):
    from annotator.worker import Worker

    worker = Worker(instance)
    lines = [f"{number:02d}-{name}.png,{name}" for number in range(40) for name in [("cat", "dog")[number % 2]]]
    path = tmp_path / "labels.csv"
    path.write_text(rows(*lines[:20]))
    import_labels(instance, path, Asked(), Wish(""))
    worker._look()
    (row,) = worker.db.query("SELECT labels, finished FROM rounds")
    assert row["labels"] == 20
    assert row["finished"]
    worker.db.close()


def test_the_command_says_what_it_did(place):
    path = write(place, rows("0.png,cat", *(f"x{number}.png,cat" for number in range(12)), "1.png,\x1b[31mred"))
    result = CliRunner().invoke(main, ["import", str(path), "--instance", str(place.instance)])
    assert result.exit_code == 0
    assert "1 labels added" in result.stdout
    assert "line 3: x0.png: no image" in result.stdout
    assert "and 3 more; --report FILE.csv lists them all" in result.stdout
    assert "\x1b" not in result.output
    assert "Not all images are read yet" in result.stderr


def test_the_page_about_importing_lists_every_source():
    found = re.findall(r"^\| `([a-z-]+)` \|", DOC.read_text("utf-8"), re.M)
    assert found == list(SOURCES)
