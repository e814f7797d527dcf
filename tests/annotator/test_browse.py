"""Pages of images and the history of one, against the same questions asked of plain rows in Python."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlite_utils import Database

from annotator import predictions
from annotator.errors import NotFound
from annotator.store import browse, classes, labels, overview, project
from annotator.store import db as store
from annotator.store.browse import Filter, Key
from annotator.store.labels import Answer

NOW = 1_000_000.0
KNOWN = [1, 2]  # classes of the model; the third came later
STATUSES = {"labeled": "label", "flagged": "flag", "skipped": "skip"}
numbers = count()


@dataclass
class Truth:
    """What stands of one image, from its rows alone."""

    image: int
    name: str
    answers: list[dict[str, Any]]  # each person's latest
    status: str = "unlabeled"
    class_id: int | None = None
    latest: int = 0
    probs: tuple[float, ...] | None = None

    @property
    def predicted(self) -> int | None:
        return KNOWN[int(np.argmax(self.probs))] if self.probs else None

    @property
    def self_confidence(self) -> float:
        return self.probs[KNOWN.index(self.class_id)] if self.probs and self.class_id in KNOWN else 2.0


def judge(image: int, name: str, rows: list[dict[str, Any]]) -> Truth:
    """The rules of docs and design, one after the other."""
    undone = {row["undoes"] for row in rows}
    standing = [row for row in rows if row["kind"] != "undo" and row["uuid"] not in undone]
    people_spoke = any(row["source"] != "import" and row["kind"] != "skip" for row in standing)
    latest = {row["person_id"]: row for row in standing}
    answers = [row for row in latest.values() if not (people_spoke and row["source"] == "import")]
    truth = Truth(image, name, answers, latest=max((row["id"] for row in answers), default=0))
    said = [row["class_id"] for row in answers if row["kind"] == "label"]
    voters = len(said) + sum(row["kind"] == "unsure" for row in answers)
    reviewed = [row for row in answers if row["kind"] == "label" and row["source"] == "review"]
    majority = [class_id for class_id, votes in Counter(said).items() if 2 * votes > voters]
    if reviewed:
        truth.status, truth.class_id = "label", max(reviewed, key=lambda row: row["id"])["class_id"]
    elif any(row["kind"] == "flag" for row in answers):
        truth.status = "flag"
    elif majority:
        truth.status, truth.class_id = "label", majority[0]
    elif voters:
        truth.status = "conflict" if said else "unsure"
    elif answers:
        truth.status = "skip"
    return truth


def fits(truth: Truth, wanted: Filter) -> bool:
    confidence = max(truth.probs) if truth.probs else None
    asked = {name: getattr(wanted, name) for name in ("person_id", "source", "round")}
    asked = {name: value for name, value in asked.items() if value not in (None, "")}
    return all([
        not wanted.status or truth.status == STATUSES.get(wanted.status, wanted.status),
        wanted.class_id is None or truth.class_id == wanted.class_id,
        not asked or any(all(row[name] == value for name, value in asked.items()) for row in truth.answers),
        wanted.name.lower() in truth.name.lower(),
        not wanted.disagrees or (None not in (truth.class_id, truth.predicted) and truth.class_id != truth.predicted),
        wanted.low is None or (confidence is not None and confidence >= wanted.low),
        wanted.high is None or (confidence is not None and confidence <= wanted.high),
    ])  # fmt: skip


ORDERS: dict[str, Callable[[Truth], Any]] = {
    "newest": lambda truth: (-truth.latest, -truth.image),
    "wrong": lambda truth: (truth.self_confidence, truth.image),
    "name": lambda truth: (truth.name, truth.image),
}
FILTERS = [
    Filter(),
    *(Filter(status=status) for status in browse.STATUSES),
    *(Filter(class_id=class_id) for class_id in (1, 3)),
    *(Filter(person_id=person) for person in (1, 2, 99)),
    *(Filter(source=source) for source in ("query", "tail", "review", "import", "oracle")),
    Filter(round=0), Filter(round=2), Filter(person_id=2, source="query", round=1),
    Filter(name="CAT"), Filter(name="1"), Filter(name="%"), Filter(name="_"), Filter(name="nowhere"),
    Filter(disagrees=True), Filter(low=0.7), Filter(high=0.8), Filter(low=0.6, high=0.9), Filter(low=0.0),
    Filter(status="labeled", disagrees=True, low=0.6), Filter(status="conflict", person_id=1, name="dog"),
]  # fmt: skip


# so that no status is missing
FIXED = [
    (31, "unsure", 1, None),
    (32, "skip", 1, None),
    (33, "flag", 1, None),
    (34, "label", 1, 1),
    (34, "label", 2, 2),
]


def add(db: Database, image: int, kind: str, person: int, class_id: int | None = None, **more: Any) -> Answer:
    with store.write(db):
        return put(db, image, kind, person, class_id, **more)


def put(db: Database, image: int, kind: str, person: int, class_id: int | None = None, **more: Any) -> Answer:
    answer = Answer(f"u{next(numbers)}", image, kind, person, class_id if kind == "label" else None, **more)
    labels.add(db, answer, "tab", NOW)
    return answer


def answer_at_random(db: Database, rng: random.Random, times: int) -> None:
    """Three people, all kinds, corrections, undos, reviews and a file's labels on images 1 to 30."""
    given: list[Answer] = []
    with store.write(db):
        for _ in range(times):
            image, person, class_id = rng.randint(1, 30), rng.randint(1, 3), rng.randint(1, 3)
            kind = rng.choices(("label", "skip", "unsure", "flag", "undo", "import"), (12, 2, 3, 1, 3, 2))[0]
            if kind == "import":
                row = {"uuid": f"i{next(numbers)}", "image_id": image, "kind": "label", "class_id": class_id}
                row |= {"person_id": 4, "source": "import", "via": "import", "created": "2026"}
                db["labels"].insert(row)
            elif kind != "undo":
                slot = {"image_id": image, "source": rng.choice(["query", "tail"]), "round": rng.randint(0, 2)}
                db["queue"].insert(slot | {"rank": 0}, ignore=True)
                given.append(put(db, image, kind, person, class_id, source="review" if rng.random() < 0.1 else None))
            elif given:
                back = given.pop(rng.randrange(len(given)))
                put(db, back.image_id, "undo", back.person_id, undoes=back.uuid)


def predict(instance: Path, rng: random.Random, images: range) -> dict[int, tuple[float, ...]]:
    """A round that knows some of the images and two of the classes."""
    first = np.array([rng.random() for _ in images], np.float32)
    probs = np.stack([first, 1 - first], 1)
    (instance / "rounds" / "1").mkdir(parents=True)
    predictions.write(instance / "rounds" / "1" / predictions.FILE, np.array(images), probs, KNOWN)
    return {image: tuple(map(float, row)) for image, row in zip(images, probs, strict=True)}


@pytest.fixture(params=[1, 2, 3])
def rng(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)


@pytest.fixture
def people(db: Database) -> Database:
    with store.write(db):
        project.add_classes(db, ["bird"])
        for name in ("ann", "bob", "cid", "a file"):
            project.person_id(db, name)
    return db


@pytest.fixture
def probs(people: Database, instance: Path, rng: random.Random) -> dict[int, tuple[float, ...]]:
    """A store that much was said in, with a model."""
    answer_at_random(people, rng, 80)
    for image, kind, person, class_id in FIXED:
        add(people, image, kind, person, class_id)
    with store.write(people):
        people["rounds"].insert({"number": 1, "started": "", "labels": 1, "folder": "rounds/1"})
    return predict(instance, rng, range(5, 36))


def truths(db: Database, probs: dict[int, tuple[float, ...]]) -> list[Truth]:
    rows = list(db.query("SELECT * FROM labels ORDER BY id"))
    names = db.execute("SELECT image_id, min(name) FROM files GROUP BY image_id").fetchall()
    found = [judge(image, name, [row for row in rows if row["image_id"] == image]) for image, name in names]
    return [replace(truth, probs=probs.get(truth.image)) for truth in found]


def pages(instance: Path, wanted: Filter, sort: str, size: int = 7, *, backwards: bool = False) -> Iterator[list[Any]]:
    """One page after the other, each with a connection of its own."""
    key = None
    while True:
        with browse.reading(instance) as db:
            rows = browse.page(db, wanted, sort, key, backwards=backwards, count=size)
        if rows:
            yield rows
        if len(rows) < size:
            return
        edge = rows[0 if backwards else -1]
        key = Key(edge["key"], edge["image_id"])


@pytest.mark.parametrize("sort", browse.SORTS)
def test_every_filter_finds_what_plain_rows_say_page_by_page_in_both_directions(people, instance, probs, sort):
    known = truths(people, probs)
    assert {truth.status for truth in known} == set(browse.STATUSES.values()) - {"retired"}
    for wanted in FILTERS:
        expected = sorted((truth for truth in known if fits(truth, wanted)), key=ORDERS[sort])
        met = [row for rows in pages(instance, wanted, sort) for row in rows]
        assert [row["image_id"] for row in met] == [truth.image for truth in expected], wanted
        states = [(row["status"], row["class_id"], row["predicted"]) for row in met]
        assert states == [(truth.status, truth.class_id, truth.predicted) for truth in expected]
        back = list(pages(instance, wanted, sort, backwards=True))
        assert [row["image_id"] for rows in reversed(back) for row in rows] == [truth.image for truth in expected]


def test_the_counts_are_those_of_plain_rows(people, instance, probs):
    expected = Counter(truth.status for truth in truths(people, probs))
    with browse.reading(instance) as db:
        found = browse.counts(db)
    assert found == {name: expected[STATUSES.get(name, name)] for name in browse.STATUSES}


@pytest.mark.parametrize("sort", ["newest", "name"])
def test_who_follows_the_pages_meets_every_image_once_while_answers_arrive(people, instance, probs, rng, sort):
    before = [truth.image for truth in sorted(truths(people, probs), key=ORDERS[sort])]
    met, latest = [], people["labels"].count
    for rows in pages(instance, Filter(), sort):
        met += [row["image_id"] for row in rows]
        answer_at_random(people, rng, 3)
    newer = people.execute("SELECT DISTINCT image_id FROM labels WHERE id > ?", [latest]).fetchall()
    moving = {image for (image,) in newer} if sort == "newest" else set()
    assert len(met) == len(set(met))
    assert [image for image in met if image not in moving] == [image for image in before if image not in moving]


def test_without_a_model_everything_but_its_opinion_is_there(people, instance):
    add(people, 3, "label", 1, 2)
    with browse.reading(instance) as db:
        for sort in browse.SORTS:
            assert len(browse.page(db, Filter(), sort)) == 40
        (row,) = browse.page(db, Filter(status="labeled"), "wrong")
        assert (row["image_id"], row["class_id"], row["predicted"], row["confidence"]) == (3, 2, None, None)
        assert browse.page(db, Filter(low=0.0), "newest") == browse.page(db, Filter(disagrees=True), "newest") == []
        assert browse.opinion(db, 3) == []


def test_an_image_that_is_set_aside_is_not_shown(people, instance):
    with store.write(people):
        people.execute("UPDATE images SET aside = 'gone' WHERE id = 3")
    with browse.reading(instance) as db:
        assert 3 not in {row["image_id"] for row in browse.page(db, Filter(), "name")}
        assert browse.counts(db)["unlabeled"] == 39


def test_an_image_with_two_files_is_shown_once_under_the_first_name(people, instance):
    with store.write(people):
        row = {"path": b"0.png", "name": "0.png", "image_id": 30, "size": 1, "mtime_ns": 1}
        people["files"].insert(row)
        (name,) = people.execute("SELECT name FROM files WHERE image_id = 30 AND name <> '0.png'").fetchone()
    with browse.reading(instance) as db:
        rows = browse.page(db, Filter(), "name")
        assert (rows[0]["image_id"], rows[0]["key"]) == (30, "0.png")
        assert len({row["image_id"] for row in rows}) == len(rows) == 40
        assert browse.names(db, [30])[30] == ["0.png", name]


def test_reading_makes_no_answer_wait(people, instance):
    with browse.reading(instance) as db:
        browse.page(db, Filter(), "newest")
        add(people, 1, "label", 1, 1)
        assert browse.counts(db)["labeled"] == 0  # still the same moment
    with browse.reading(instance) as db:
        assert browse.counts(db)["labeled"] == 1


def test_the_history_of_an_image_tells_everything_and_what_was_taken_back(people, instance):
    first = add(people, 1, "label", 1, 1, seconds=1.5, suggested_id=2, suggestion_shown=True)
    add(people, 1, "unsure", 2)
    add(people, 1, "undo", 1, undoes=first.uuid)
    add(people, 1, "label", 3, 2, via="accepted", source="review")
    add(people, 2, "label", 1, 1)
    with browse.reading(instance) as db:
        rows = browse.history(db, 1)
    assert [(row["person"], row["kind"], row["class_id"], row["undone"] is not None) for row in rows] == [
        ("ann", "label", 1, True), ("bob", "unsure", None, False), ("cid", "label", 2, False),
    ]  # fmt: skip
    assert (rows[0]["seconds"], rows[0]["suggested_id"], rows[0]["suggestion_shown"]) == (1.5, 2, 1)
    assert (rows[2]["via"], rows[2]["source"], rows[2]["late"]) == ("accepted", "review", 0)


def test_an_unknown_image_is_a_clear_error(instance):
    with browse.reading(instance) as db, pytest.raises(NotFound, match="no image 999"):
        browse.state(db, 999)


def test_a_reviewers_word_wins_until_it_is_taken_back(people, instance):
    for person in (1, 2):
        add(people, 1, "label", person, 1)
    word = add(people, 1, "label", 3, 2, source="review")
    assert current(people, 1) == ("label", 2)
    add(people, 1, "undo", 3, undoes=word.uuid, source="review")
    assert current(people, 1) == ("label", 1)


@pytest.mark.parametrize(("audit", "source"), [(0, "query"), (1, "audit")])
def test_an_image_whose_only_review_is_taken_back_is_asked_again_as_what_it_is(people, audit, source):
    with store.write(people):
        people.execute("UPDATE images SET audit = ? WHERE id = 1", [audit])
    word = add(people, 1, "label", 1, 2, source="review")
    add(people, 1, "undo", 1, undoes=word.uuid, source="review")
    assert current(people, 1) == ("unlabeled", None)
    assert people.execute("SELECT source FROM queue WHERE image_id = 1").fetchall() == [(source,)]


def current(db: Database, image: int) -> tuple[str, int | None]:
    row = db.execute("SELECT status, class_id FROM states WHERE image_id = ?", [image]).fetchone()
    return row[0], row[1]


def test_what_a_class_counts_as_changes_what_is_kept_of_its_own_images(people):
    for image, class_id in ((1, 1), (2, 2), (3, 3)):
        add(people, image, "label", 1, class_id)
    with store.write(people):
        people.execute("UPDATE states SET status = 'skip', class_id = NULL")
        people["classes"].update(1, {"name": "another name"})
        assert current(people, 1) == ("skip", None)  # a name is no reason to look at every image
        people["classes"].update(1, {"counts_as": 2})
        assert [current(people, image) for image in (1, 2, 3)] == [("label", 2), ("skip", None), ("skip", None)]
        people["classes"].update(2, {"retired": "now"})
    assert [current(people, image) for image in (1, 2, 3)] == [("retired", None), ("retired", None), ("skip", None)]
    assert current(people, 4) == ("skip", None)


@pytest.mark.parametrize("sort", ["newest", "name"])
@pytest.mark.parametrize("wanted", [Filter(), Filter(status="conflict"), Filter(status="conflict", person_id=1)])
def test_a_page_is_read_in_the_order_of_an_index(people, instance, wanted, sort):
    statements: list[str] = []
    with browse.reading(instance) as db:
        db.conn.set_trace_callback(statements.append)
        browse.page(db, wanted, sort, Key(5 if sort == "newest" else "x", 3))
        db.conn.set_trace_callback(None)
        sql = next(text for text in statements if "FROM states s" in text or "FROM files f" in text)
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}"))
    assert "USING INDEX states_" in plan or "files_name" in plan
    assert "TEMP B-TREE FOR ORDER BY" not in plan


def change(db: Database, **values: Any) -> None:
    wanted = classes.Change(**values)
    found = classes.plan(db, wanted)
    with store.write(db):
        classes.do(db, wanted, found, 1)


def test_after_classes_changed_the_page_speaks_of_those_of_now(people, instance, probs):
    """Images 5 to 35 are predicted as 1 or 2; 2 is merged into 3, and 1 is retired."""
    with store.write(people):
        people["classes"].insert({"name": "fish", "key": ""})
    change(people, action="merge", class_id=2, into=3)
    change(people, action="retire", class_id=1)
    stands = {row["image_id"]: (row["status"], row["class_id"]) for row in people.query("SELECT * FROM current")}
    now = predictions.read(instance / "rounds/1" / predictions.FILE, probs, project.class_meanings(people))
    with browse.reading(instance) as db:
        rows = [row for sort in ("name", "wrong") for row in browse.page(db, Filter(), sort, count=50)]
        assert {row["image_id"] for row in browse.page(db, Filter(status="retired"), "name", count=50)} == {
            image for image, (status, _) in stands.items() if status == "retired"
        }
    assert len(rows) == 2 * 40
    for row in rows:
        status, class_id = stands.get(row["image_id"], ("unlabeled", None))
        assert (row["status"], row["class_id"]) == (status, class_id if status == "label" else None)
        said = now.get(row["image_id"])
        assert row["predicted"] == (said.class_id if said else None) != 2
        assert said is None or row["confidence"] == pytest.approx(said.confidence)


@pytest.mark.parametrize("kept", [True, False])
def test_what_was_said_of_other_classes_is_kept_once_beside_its_round_if_it_can_be(
    people, instance, probs, kept, monkeypatch
):
    change(people, action="merge", class_id=2, into=1)
    if not kept:
        monkeypatch.setattr(predictions, "write", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    for _ in range(2):
        with browse.reading(instance) as db:
            rows = browse.page(db, Filter(), "name", count=50)
    said = {row["image_id"]: row["confidence"] for row in rows if row["predicted"] == 1}
    assert said == pytest.approx(dict.fromkeys(probs, 1.0))  # one class is left to say
    assert len(list((instance / "rounds/1").glob("predictions-*.db"))) == kept
    assert predictions.read_all(instance / "rounds/1" / predictions.FILE, {1: 1, 2: 1}).keys() == set(probs)


def test_the_numbers_of_the_project_are_those_of_the_view(people, instance, probs):
    change(people, action="retire", class_id=1)
    with store.write(people):
        people.execute("UPDATE images SET audit = id % 2")
        people.execute("UPDATE images SET aside = 'broken' WHERE id % 7 = 0")
    stands = people.execute("SELECT image_id, status, class_id FROM current").fetchall()
    seen = [row for row in stands if row[0] % 7]
    counts, rows = overview.counts(people), classes.everything(people)
    assert counts["answered"] == len(seen)
    assert counts["labeled"] == sum(status == "label" for _, status, _ in seen)
    assert counts["audit_labeled"] == sum(status == "label" and image % 2 for image, status, _ in seen)
    by_class = Counter(class_id for _, status, class_id in stands if status in ("label", "retired"))
    assert {row["id"]: row["labels"] for row in rows} == {row["id"]: by_class[row["id"]] for row in rows}
