"""Several opinions on an image: whoever claims, answers and undoes, the right number of people is asked, once each."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from annotator.store import browse, images, labels, overlap, project, queue
from annotator.store import db as store
from annotator.store.browse import Filter
from annotator.store.labels import Answer

NOW = 1_000_000.0
numbers = count()


def ask(db: Database, people: int, share: float = 1.0) -> None:
    with store.write(db):
        project.put(db, together={"overlap": people, "overlap_share": share})
        overlap.follow(db)


def person(db: Database, name: str) -> int:
    with store.write(db):
        return project.person_id(db, name)


def claim(db: Database, who: str, count: int = 1, now: float = NOW) -> list[int]:
    by = person(db, who)
    with store.write(db):
        return [slot["image_id"] for slot in queue.claim(db, f"tab of {who}", by, count, now)]


def say(db: Database, who: str, image: int, kind: str = "label", class_id: int = 1, now: float = NOW, **more) -> Answer:
    chosen = class_id if kind == "label" else None
    answer = Answer(f"o{next(numbers)}", image, kind, person(db, who), chosen, **more)
    with store.write(db):
        labels.add(db, answer, f"tab of {who}", now)
    return answer


def undo(db: Database, who: str, answer: Answer, now: float = NOW) -> None:
    say(db, who, answer.image_id, "undo", undoes=answer.uuid, now=now)


def publish(db: Database, *chosen: int, source: str = "query") -> None:
    picks = [{"image_id": i, "round": 1, "strategy": "margin", "score": 1.0, "probability": None} for i in chosen]
    with store.write(db):
        queue.publish(db, picks, source, NOW)


def late(db: Database) -> list[int]:
    return [value for (value,) in db.execute("SELECT late FROM labels ORDER BY id").fetchall()]


def test_an_image_goes_to_two_people_and_then_leaves_the_queue(db):
    ask(db, 2)
    (image,) = claim(db, "ann")
    say(db, "ann", image)
    assert claim(db, "bob") == [image]
    say(db, "bob", image)
    assert queue.slot_of(db, image) is None
    assert late(db) == [0, 0]


def test_the_first_person_goes_on_with_other_images(db):
    ask(db, 2)
    seen = []
    while held := claim(db, "ann"):
        say(db, "ann", held[0])
        seen += held
    assert sorted(seen) == list(range(1, 41))
    assert overlap.waiting(db) == 40


def test_while_one_looks_at_an_image_it_is_on_no_other_screen(db):
    ask(db, 3)
    held = claim(db, "ann", 20)
    assert not set(held) & set(claim(db, "bob", 20))


@pytest.mark.parametrize("kind", ["skip", "unsure", "label"])
def test_whatever_a_person_says_is_an_opinion(db, kind):
    ask(db, 2)
    (image,) = claim(db, "ann")
    say(db, "ann", image, kind)
    assert image not in claim(db, "ann", 40)
    assert image in claim(db, "bob", 40)


def test_a_flagged_image_and_one_that_a_reviewer_decided_are_asked_of_nobody_else(db):
    ask(db, 3)
    flagged, decided = claim(db, "ann", 2)
    say(db, "ann", flagged, "flag")
    say(db, "ann", decided)
    say(db, "rob", decided, source="review")
    assert queue.slot_of(db, flagged) is queue.slot_of(db, decided) is None


def test_an_undone_opinion_is_asked_of_the_same_person_at_once(db):
    ask(db, 2)
    (image,) = claim(db, "ann")
    say(db, "ann", image)
    claim(db, "bob")
    answer = say(db, "bob", image)
    undo(db, "bob", answer)
    slot = queue.slot_of(db, image)
    assert (slot["tab"], slot["asked"]) == ("tab of bob", f",{person(db, 'ann')},")


def test_who_undoes_while_another_has_the_image_is_asked_after_that_one(db):
    ask(db, 2)
    (image,) = claim(db, "ann")
    answer = say(db, "ann", image)
    assert claim(db, "bob") == [image]
    undo(db, "ann", answer)
    assert queue.slot_of(db, image)["tab"] == "tab of bob"
    say(db, "bob", image)
    assert image in claim(db, "ann", 40)


def test_a_third_person_who_was_not_asked_is_late(db):
    ask(db, 2)
    (image,) = claim(db, "ann")
    for who in ("ann", "bob", "cat"):
        if who == "bob":
            claim(db, who)
        say(db, who, image)
    assert late(db) == [0, 0, 1]


def test_second_thoughts_of_one_of_two_are_not_late(db):
    ask(db, 2)
    (image,) = claim(db, "ann")
    say(db, "ann", image)
    claim(db, "bob")
    say(db, "bob", image, class_id=2)
    say(db, "ann", image, class_id=2)
    assert late(db) == [0, 0, 0]


def test_a_new_ranking_keeps_what_waits_for_an_opinion(db):
    ask(db, 2)
    publish(db, 1, 2, 3)
    assert claim(db, "ann") == [1]
    say(db, "ann", 1)
    publish(db, 7, 8)
    assert {slot["image_id"] for slot in db.query("SELECT image_id FROM queue WHERE source = 'query'")} == {1, 7, 8}
    assert set(claim(db, "bob", 3)) == {1, 7, 8}


def test_half_of_the_turns_are_for_what_waits_and_half_for_the_query(db):
    ask(db, 2)
    publish(db, *range(1, 11))
    for image in claim(db, "ann", 10):
        say(db, "ann", image)
    publish(db, *range(11, 21))
    asked = claim(db, "bob", 8)
    assert sum(image <= 10 for image in asked) == 4


def test_audit_images_get_their_opinions_too(make_instance):
    db = store.connect(make_instance("audited", audit_share=0.4) / store.FILE)
    ask(db, 2)
    audit = {row["id"] for row in db.query("SELECT id FROM images WHERE audit")}
    for who in ("ann", "bob"):
        for image in claim(db, who, 20):
            say(db, who, image)
    sql = "SELECT image_id FROM labels WHERE source = 'audit' GROUP BY image_id HAVING count(DISTINCT person_id) = 2"
    both = {image for (image,) in db.execute(sql).fetchall()}
    assert both
    assert both <= audit
    db.close()


def test_a_share_of_the_images_is_asked_of_several_whoever_is_in_the_audit(db):
    with store.write(db):
        for number in range(4000):
            shuffle = (number * 0.6180339887498949) % 1
            db.execute(
                "INSERT INTO images (sha256, row, shuffle, audit, created) VALUES (?, ?, ?, ?, 'now')",
                [f"{number:064x}", 100 + number, shuffle, shuffle < 0.1],
            )
    ask(db, 3, 0.25)
    new = db.query("SELECT id, audit FROM images WHERE row >= 100")
    several = [(row["audit"], overlap.opinions(db, row["id"]).needed == 3) for row in new]
    assert sum(chosen for _, chosen in several) == pytest.approx(1000, abs=100)
    assert sum(chosen for audit, chosen in several if audit) == pytest.approx(100, abs=35)


def test_a_larger_share_asks_all_images_of_a_smaller_one(db):
    def several(share: float) -> set[int]:
        ask(db, 2, share)
        return {image for image in range(1, 41) if overlap.opinions(db, image).needed == 2}

    assert several(0) < several(0.3) < several(0.8) < several(1) == set(range(1, 41))


def test_a_change_of_the_setting_reaches_what_was_answered_before(db):
    (image,) = claim(db, "ann")
    say(db, "ann", image)
    ask(db, 2)
    assert image in claim(db, "bob", 40)
    assert image not in claim(db, "ann", 40)
    ask(db, 1)
    assert queue.slot_of(db, image) is None


def test_an_image_whose_file_comes_back_waits_again(db):
    ask(db, 2)
    (image,) = claim(db, "ann")
    say(db, "ann", image)
    for missing in (1, 0):
        with store.write(db):
            db.execute("UPDATE files SET missing = ? WHERE image_id = ?", [missing, image])
            images.settle(db, [image])
        assert (queue.slot_of(db, image) is None) == bool(missing)
    assert image in claim(db, "bob", 40)


def test_an_image_known_from_a_file_is_asked_of_nobody(db):
    ask(db, 2)
    with store.write(db):
        row = {"uuid": "i", "image_id": 3, "kind": "label", "class_id": 1, "person_id": project.person_id(db, "import")}
        db["labels"].insert(row | {"source": "import", "via": "import", "created": "now"})
        overlap.follow(db)
    publish(db, 3)
    assert queue.slot_of(db, 3) is None


def test_a_second_person_who_says_the_same_is_no_news_for_the_learner(db):
    ask(db, 3)
    say(db, "ann", 1)
    say(db, "ann", 2)
    cursor = labels.cursor(db)
    say(db, "bob", 1)
    say(db, "bob", 2, class_id=2)
    assert [(row["image_id"], row["status"]) for row in labels.changed_since(db, cursor)] == [(2, "conflict")]
    assert {row["image_id"]: row["class_id"] for row in labels.changed_since(db, 0)}[1] == 1


def test_a_third_person_who_ends_a_conflict_is_news(db):
    say(db, "ann", 1)
    say(db, "bob", 1, class_id=2)
    cursor = labels.cursor(db)
    say(db, "cat", 1)
    assert [(row["image_id"], row["class_id"]) for row in labels.changed_since(db, cursor)] == [(1, 1)]


def test_a_conflict_that_waits_for_a_third_opinion_is_not_one_to_decide(instance, db):
    ask(db, 3)
    for image in (1, 2):
        for who, class_id in (("ann", 1), ("bob", 2)):
            say(db, who, image, class_id=class_id)
    say(db, "cat", 2, "unsure")
    assert browse.conflicts(db) == 1
    with browse.reading(instance) as seen:
        found = [browse.page(seen, Filter(status="conflict", settled=settled), "newest") for settled in (False, True)]
    assert [[row["image_id"] for row in rows] for rows in found] == [[2, 1], [2]]


@contextmanager
def copied(instance: Path) -> Iterator[Database]:
    """A store of its own for every example."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(instance / store.FILE, folder)
        db = store.connect(Path(folder) / store.FILE)
        yield db
        db.close()


class Model:
    """What must hold, in plain dictionaries: who holds which image, and whose answers stand."""

    def __init__(self, db: Database, people: int) -> None:
        self.db, self.people = db, people
        self.held: dict[str, list[int]] = {who: [] for who in "abcd"}
        self.said: dict[str, list[Answer]] = {who: [] for who in "abcd"}
        self.now = NOW

    def given(self, image: int) -> set[str]:
        return {who for who, answers in self.said.items() for answer in answers if answer.image_id == image}

    def claim(self, who: str, which: int) -> None:
        for image in claim(self.db, who, 1 + which % 3, self.now):
            assert who not in self.given(image), "asked twice"
            on_screens = {each for each, held in self.held.items() if image in held}
            assert not on_screens - {who}
            assert len(self.given(image)) < self.people, "asked of too many"
            self.held[who] = [*dict.fromkeys([*self.held[who], image])]

    def answer(self, who: str, which: int) -> None:
        if self.held[who]:
            image = self.held[who].pop(which % len(self.held[who]))
            kind = ("label", "skip", "unsure")[which % 3]
            self.said[who].append(say(self.db, who, image, kind, 1 + which % 2, self.now))

    def undo(self, who: str, which: int) -> None:
        if self.said[who]:
            answer = self.said[who].pop(which % len(self.said[who]))
            undo(self.db, who, answer, self.now)
            if queue.slot_of(self.db, answer.image_id)["tab"] == f"tab of {who}":
                self.held[who].append(answer.image_id)

    def leave(self, who: str, which: int) -> None:
        with store.write(self.db):
            queue.release(self.db, f"tab of {who}")
        self.held[who] = []

    def rank(self, who: str, which: int) -> None:
        publish(self.db, *range(1 + which, 8 + which))

    def check(self) -> None:
        """Nothing is lost: what lacks an opinion is in the queue or was never asked; what has all is not."""
        slots = {row["image_id"]: row["asked"] for row in self.db.query("SELECT image_id, asked FROM queue")}
        for image in range(1, 41):
            names = self.given(image)
            if len(names) >= self.people:
                assert image not in slots
            elif names:
                ids = sorted(person(self.db, who) for who in names)
                assert slots[image] == f",{','.join(map(str, ids))},"


ACTIONS = ("claim", "answer", "undo", "leave", "rank")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    people=st.integers(1, 3),
    steps=st.lists(
        st.tuples(st.sampled_from([*ACTIONS[:2] * 3, *ACTIONS]), st.sampled_from("abcd"), st.integers(0, 5)),
        min_size=10, max_size=50,
    ),
)  # fmt: skip
def test_whatever_people_do_nobody_is_asked_twice_and_never_more_than_needed(instance, people, steps):
    with copied(instance) as db:
        ask(db, people)
        model = Model(db, people)
        for action, who, which in steps:
            getattr(model, action)(who, which)
            model.check()


@pytest.mark.parametrize("people", [1, 2, 3])
def test_four_people_who_go_on_to_the_end_leave_every_image_with_as_many_opinions_as_asked(db, people):
    ask(db, people)
    while sum(answer_one(db, who) for who in "abcd"):
        pass
    sql = "SELECT image_id, count(DISTINCT person_id) FROM labels WHERE NOT late GROUP BY image_id"
    assert dict(db.execute(sql).fetchall()) == dict.fromkeys(range(1, 41), people)


def answer_one(db: Database, who: str) -> bool:
    held = claim(db, who)
    for image in held:
        say(db, who, image)
    return bool(held)


def test_a_claim_passes_over_thousands_of_images_that_wait_for_somebody_else(db):
    ask(db, 3)
    ann, bob = person(db, "ann"), person(db, "bob")
    with store.write(db):
        db.execute("DELETE FROM queue")
        for number in range(6_000):
            image = db.execute(
                "INSERT INTO images (sha256, row, shuffle, created) VALUES (?, ?, 0.5, 'now') RETURNING id",
                [f"{number:064x}", 100 + number],
            ).fetchone()[0]
            asked = f",{ann}," if number % 2 else f",{ann},{bob},"
            db.execute(
                "INSERT INTO queue (image_id, source, round, rank, asked) VALUES (?, 'query', 1, ?, ?)",
                [image, number, asked],
            )
    claim(db, "ann")
    steps = 0

    def count_steps() -> None:
        nonlocal steps
        steps += 1

    db.conn.set_progress_handler(count_steps, 100)
    assert len(claim(db, "ann", 1)) == 1
    assert steps < 100  # 10,000 instructions of SQLite; passing over each image would take ten times as many
