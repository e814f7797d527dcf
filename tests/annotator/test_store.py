"""Labels, leases and the view of what stands, asked of a real SQLite file."""

import random
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from annotator.errors import AnnotatorError, Contradiction, NotFound
from annotator.store import db as store
from annotator.store import files, images, labels, overview, project, queue, rounds
from annotator.store.labels import Answer
from annotator.store.pool import Pool

NOW = 1_000_000.0
HOUR = 3600.0
numbers = count()


def person(db: Database, name: str = "ann") -> int:
    with store.write(db):
        return project.person_id(db, name)


def say(db: Database, image: int, kind: str = "label", class_id: int | None = 1, by: str = "ann", **more) -> Answer:
    """One answer, stored."""
    class_id = class_id if kind == "label" else None
    answer = Answer(f"said-{next(numbers)}", image, kind, person(db, by), class_id, **more)
    with store.write(db):
        labels.add(db, answer, "tab", NOW)
    return answer


def undo(db: Database, answer: Answer) -> None:
    with store.write(db):
        back = Answer(f"u{next(numbers)}", answer.image_id, "undo", answer.person_id, undoes=answer.uuid)
        labels.add(db, back, "tab", NOW)


def claim(db: Database, tab: str, count: int = 1, now: float = NOW) -> list[int]:
    with store.write(db):
        slots = queue.claim(db, tab, project.person_id(db, "ann"), count, now)
    return [slot["image_id"] for slot in slots]


def picks(*images: int) -> list[dict]:
    """A ranking of these images."""
    return [{"image_id": i, "round": 1, "strategy": "margin", "score": 1.0, "probability": None} for i in images]


def current(db: Database) -> dict[int, tuple[str, int | None]]:
    return {row["image_id"]: (row["status"], row["class_id"]) for row in db.query("SELECT * FROM current")}


def test_an_answer_sent_twice_is_stored_once(db):
    answer = say(db, 1)
    with store.write(db):
        assert labels.add(db, answer, "tab", NOW) is False
    assert db["labels"].count == 1


def test_a_uuid_with_another_answer_is_refused_and_the_first_stays(db):
    answer = say(db, 1, class_id=1)
    with pytest.raises(Contradiction), store.write(db):
        labels.add(db, Answer(answer.uuid, 1, "label", answer.person_id, 2), "tab", NOW)
    assert current(db) == {1: ("label", 1)}


@pytest.mark.parametrize("statement", ["DELETE FROM labels", "UPDATE labels SET class_id = 2"])
def test_the_table_of_labels_is_append_only(db, statement):
    say(db, 1)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)


@pytest.mark.parametrize(("image", "class_id", "named"), [(999, 1, "image 999"), (1, 99, "class 99")])
def test_an_answer_about_something_unknown_is_refused_by_name(db, image, class_id, named):
    with pytest.raises(NotFound, match=named):
        say(db, image, class_id=class_id)


def test_nobody_undoes_the_answer_of_another(db):
    answer, bob = say(db, 1, by="ann"), person(db, "bob")
    with pytest.raises(NotFound), store.write(db):
        labels.add(db, Answer("x", 1, "undo", bob, undoes=answer.uuid), "tab", NOW)


def test_a_correction_replaces_and_its_undo_restores(db):
    say(db, 1, class_id=1)
    correction = say(db, 1, class_id=2)
    assert current(db)[1] == ("label", 2)
    undo(db, correction)
    assert current(db)[1] == ("label", 1)


def test_an_undone_answer_leaves_nothing(db):
    undo(db, say(db, 1))
    assert current(db) == {}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["1"], ("label", 1)),
        (["1", "1", "2"], ("label", 1)),
        (["1", "2"], ("conflict", None)),
        (["1", "unsure"], ("conflict", None)),
        (["1", "1", "unsure"], ("label", 1)),
        (["1", "skip"], ("label", 1)),
        (["skip"], ("skip", None)),
        (["unsure", "skip"], ("unsure", None)),
        (["1", "1", "flag"], ("flag", 1)),
    ],
)
def test_what_people_say_together(db, answers, expected):
    for number, said in enumerate(answers):
        if said.isdigit():
            say(db, 7, class_id=int(said), by=f"p{number}")
        else:
            say(db, 7, kind=said, by=f"p{number}")
    status, class_id = current(db)[7]
    assert (status, class_id if status == "label" else expected[1]) == expected


def test_a_person_who_corrects_an_imported_label_is_right(db):
    imported = Answer("i", 3, "label", person(db, "import"), 1, via="import")
    with store.write(db):
        db["labels"].insert({**vars(imported), "source": "import", "created": "now"})
    assert current(db)[3] == ("label", 1)
    say(db, 3, kind="skip", by="bob")
    assert current(db)[3] == ("label", 1)
    correction = say(db, 3, class_id=2)
    assert current(db)[3] == ("label", 2)
    undo(db, correction)
    assert current(db)[3] == ("label", 1)


def test_an_answered_image_leaves_the_queue(db):
    (image,) = claim(db, "a")
    say(db, image)
    assert queue.slot_of(db, image) is None


def test_two_tabs_never_get_the_same_image(instance: Path, db):
    got: list[int] = []

    def work(tab: str) -> None:
        mine = store.connect(instance / store.FILE)
        for _ in range(5):
            got.extend(claim(mine, tab))
        mine.close()

    threads = [threading.Thread(target=work, args=(f"tab{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 40
    assert len(set(got)) == 40


def test_an_expired_lease_is_handed_out_again_and_a_renewed_one_is_not(db):
    gone, held = claim(db, "a", 20), claim(db, "b", 20)
    later = NOW + queue.LEASE_SECONDS + 1
    with store.write(db):
        queue.renew(db, "b", held, later)
    assert sorted(claim(db, "c", 40, later)) == sorted(gone)


def test_a_clock_that_jumps_ahead_ends_leases_until_the_next_heartbeat(db):
    held, later = claim(db, "a", 40), NOW + 3 * HOUR
    with store.write(db):
        queue.renew(db, "a", held[:30], later)
    assert sorted(claim(db, "b", 40, later)) == sorted(held[30:])


def test_a_clock_that_goes_back_ends_leases_until_the_next_heartbeat(db):
    held, earlier = claim(db, "a", 40), NOW - 3 * HOUR
    with store.write(db):
        queue.renew(db, "a", held[:30], earlier)
    assert sorted(claim(db, "b", 40, earlier)) == sorted(held[30:])


def test_a_clock_that_is_set_right_by_seconds_takes_nobodys_image(db):
    claim(db, "a", 40)
    assert claim(db, "b", 40, NOW - 30) == claim(db, "b", 40, NOW + 30) == []


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_ranking_after_a_jump_of_the_clock_replaces_what_no_heartbeat_renewed(db, hours):
    with store.write(db):
        queue.publish(db, picks(1, 2, 3), "query", NOW)
    renewed, *gone = claim(db, "a", 3)
    now = NOW + hours * HOUR
    with store.write(db):
        queue.renew(db, "a", [renewed], now)
        queue.publish(db, picks(4), "query", now)
    assert {row["image_id"] for row in db.query("SELECT image_id FROM queue WHERE source = 'query'")} == {renewed, 4}
    assert gone == [2, 3]


def test_the_progress_of_a_query_counts_its_answers(db):
    with store.write(db):
        rounds.save_state(db, {"round": 3, "query": {"ids": [4, 5, 6]}})
        db["images"].update(6, {"aside": "its file is missing"})
    say(db, 4)
    assert rounds.query_progress(db) == {"round": 3, "size": 3, "answered": 2}


def test_a_tab_is_not_given_what_it_has(db):
    held = claim(db, "a", 5)
    with store.write(db):
        queue.release(db, "a")
        slots = queue.claim(db, "b", project.person_id(db, "ann"), 40, NOW, held)
    assert not {slot["image_id"] for slot in slots} & set(held)


def test_a_released_image_is_asked_again_at_once(db):
    held = claim(db, "a", 20) + claim(db, "a", 20)
    with store.write(db):
        queue.release(db, "a", held[:3])
    assert sorted(claim(db, "b", 20)) == sorted(held[:3])


def test_an_answer_after_the_lease_moved_on_is_kept_and_marked_late(db):
    (image,) = claim(db, "slow")
    with store.write(db):
        db.execute("UPDATE queue SET tab = 'other'")
    say(db, image)
    assert list(db.query("SELECT image_id, late FROM labels")) == [{"image_id": image, "late": 1}]


def test_second_thoughts_after_a_late_answer_are_late_too(db):
    (image,) = claim(db, "tab")
    say(db, image, by="ann")
    undo(db, say(db, image, by="bob"))
    say(db, image, by="bob")
    assert [row["late"] for row in db.query("SELECT late FROM labels WHERE kind = 'label'")] == [0, 1, 1]


def test_second_thoughts_are_late_when_somebody_else_answered_meanwhile(db):
    (image,) = claim(db, "tab")
    undo(db, say(db, image, by="ann"))
    with store.write(db):
        queue.release(db, "tab")
    assert claim(db, "other") == [image]
    with store.write(db):
        labels.add(db, Answer("bob's", image, "label", project.person_id(db, "bob"), 1), "other", NOW)
    say(db, image, by="ann")
    assert [row["late"] for row in db.query("SELECT late FROM labels WHERE kind = 'label'")] == [0, 0, 1]


@contextmanager
def copied(instance: Path) -> Iterator[Database]:
    """A store of its own for every example."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(instance / store.FILE, folder)
        db = store.connect(Path(folder) / store.FILE)
        yield db
        db.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    needed=st.integers(1, 2),
    steps=st.lists(
        st.tuples(st.sampled_from(["claim", "answer", "undo", "leave", "jump"]), st.integers(0, 2), st.integers(0, 5)),
        min_size=10,
        max_size=60,
    ),
)
def test_whatever_tabs_and_clocks_do_no_image_has_more_people_than_asked_whose_answers_are_not_late(
    instance, needed, steps
):
    with copied(instance) as db:
        with store.write(db):
            project.put(db, together={"overlap": needed})
        now = NOW
        held: dict[int, list[int]] = {0: [], 1: [], 2: []}
        given: dict[int, list[Answer]] = {0: [], 1: [], 2: []}
        for action, who, which in steps:
            tab, by = f"tab {who}", person(db, f"person {who}")
            if action == "jump":
                now += (which - 2.5) * HOUR
            elif action == "claim":
                with store.write(db):
                    held[who] += [slot["image_id"] for slot in queue.claim(db, tab, by, 2, now, held[who])]
            elif action == "leave":
                with store.write(db):
                    queue.release(db, tab)
            elif action == "answer" and held[who]:
                image = held[who].pop(which % len(held[who]))
                given[who].append(Answer(f"u{next(numbers)}", image, "label", by, 1))
                with store.write(db):
                    labels.add(db, given[who][-1], tab, now)
            elif action == "undo" and given[who]:
                answer = given[who].pop(which % len(given[who]))
                held[who].append(answer.image_id)
                with store.write(db):
                    back = Answer(f"u{next(numbers)}", answer.image_id, "undo", by, undoes=answer.uuid)
                    labels.add(db, back, tab, now)
        people: dict[int, set[int]] = {}
        undone = {undoes for (undoes,) in db.execute("SELECT undoes FROM labels WHERE undoes IS NOT NULL")}
        for row in db.query("SELECT uuid, image_id, person_id FROM labels WHERE kind = 'label' AND NOT late"):
            if row["uuid"] not in undone:
                people.setdefault(row["image_id"], set()).add(row["person_id"])
        assert all(len(each) <= needed for each in people.values()), people


def test_an_undone_image_comes_first_with_its_origin(db):
    with store.write(db):
        pick = {"image_id": 9, "round": 3, "strategy": "margin", "score": 0.5, "probability": None}
        queue.publish(db, [pick], "query", NOW)
    claim(db, "tab")
    undo(db, say(db, 9))
    slot = queue.slot_of(db, 9)
    assert (slot["tab"], slot["rank"], slot["round"], slot["strategy"]) == ("tab", -1, 3, "margin")


def test_an_undone_image_is_not_asked_again_while_an_answer_stands(db):
    (image,) = claim(db, "tab")
    answer = say(db, image, by="ann")
    say(db, image, by="bob")
    undo(db, answer)
    assert queue.slot_of(db, image) is None


def test_the_query_is_asked_before_the_tail_and_the_tail_before_chance(db):
    with store.write(db):
        queue.publish(db, picks(31, 32), "tail", NOW)
        queue.publish(db, picks(21, 22), "query", NOW)
    assert claim(db, "a", 5)[:4] == [21, 22, 31, 32]


def test_publishing_again_changes_nothing_that_was_answered_or_is_on_a_screen(db):
    with store.write(db):
        queue.publish(db, picks(1, 2, 3), "query", NOW)
    assert claim(db, "a") == [1]
    say(db, 2)
    with store.write(db):
        queue.publish(db, picks(1, 2, 3), "query", NOW)
    rows = db.query("SELECT image_id, tab FROM queue ORDER BY image_id")
    assert [(row["image_id"], row["tab"]) for row in rows] == [(1, "a"), (3, None)]


def test_every_tenth_slot_asks_the_audit(make_instance):
    db = store.connect(make_instance("audited", audit_share=0.4) / store.FILE)
    audit = {row["id"] for row in db.query("SELECT id FROM images WHERE audit")}
    asked = claim(db, "a", 20)
    assert [position for position, image in enumerate(asked, 1) if image in audit] == [10, 20]


def test_a_label_says_why_the_image_was_asked(db):
    pick = {"image_id": 5, "round": 2, "strategy": "random", "score": None, "probability": 0.25}
    with store.write(db):
        queue.publish(db, [pick], "query", NOW)
    claim(db, "tab")
    say(db, 5, suggested_id=2, suggestion_shown=True, model=1, seconds=1.5)
    (row,) = db["labels"].rows
    assert {**row, "uuid": "", "created": ""} == {
        "id": 1, "uuid": "", "image_id": 5, "kind": "label", "class_id": 1, "undoes": None, "person_id": 1,
        "round": 2, "source": "query", "strategy": "random", "score": None, "probability": 0.25, "model": 1,
        "suggested_id": 2, "suggestion_shown": 1, "via": "typed", "seconds": 1.5, "late": 0, "created": "",
    }  # fmt: skip


def test_changes_since_a_cursor_are_those_of_the_images_that_train(db):
    first = say(db, 1, class_id=1)
    cursor = labels.cursor(db)
    say(db, 2, kind="skip")
    undo(db, first)
    changed = {row["image_id"]: row["status"] for row in labels.changed_since(db, cursor)}
    assert changed == {1: None, 2: "skip"}


def test_a_failing_write_changes_nothing(db):
    def fail() -> None:
        with store.write(db):
            project.count_up(db, "x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert project.counter(db, "x") == 0


def test_a_commit_is_on_disk_before_it_returns(db):
    assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_only_what_need_not_last_is_written_without_waiting_for_the_disk(db):
    def level() -> int:
        return db.execute("PRAGMA synchronous").fetchone()[0]

    with store.write(db):
        assert level() == 2
    with store.write(db, durable=False):
        assert level() == 1  # NORMAL: what a power cut takes is the end of the log, in order
    assert level() == 2
    with pytest.raises(RuntimeError), store.write(db, durable=False):
        raise RuntimeError
    assert level() == 2


def test_a_file_of_a_newer_version_is_refused(instance, db):
    db["_sqlite_migrations"].insert({"migration_set": "annotator", "name": "m999_future", "applied_at": "x"})
    with pytest.raises(AnnotatorError, match=r"newer version.*m999_future.*upgrade"):
        store.prepare(instance / store.FILE)


def test_class_keys_follow_names_of_one_key_and_avoid_commands(db):
    with store.write(db):
        project.add_classes(db, ["3", "x", "a", "fish"])
    keys = {row["name"]: row["key"] for row in project.classes(db)}
    assert keys == {"cat": "1", "dog": "2", "3": "3", "x": "x", "a": "4", "fish": "5"}
    assert not set(project.CLASS_KEYS) & set(project.COMMAND_LETTERS)


def test_counts_say_what_is_answered(db):
    say(db, 1)
    say(db, 2, kind="skip")
    found = overview.counts(db)
    assert (found["usable"], found["answered"], found["labeled"]) == (40, 2, 1)


def drawn(db: Database, source: str) -> list[int]:
    """Draw all there is, then take it out of the queue; in this order."""
    with store.write(db):
        while queue.refill(db, source):
            pass
        rows = db.execute("SELECT image_id FROM queue WHERE source = ? ORDER BY id", [source]).fetchall()
        db.execute("DELETE FROM queue WHERE source = ?", [source])
    return [image for (image,) in rows]


def open_images(db: Database, audit: int) -> list[int]:
    sql = """SELECT id FROM images WHERE audit = ? AND aside IS NULL AND row IS NOT NULL
        AND id NOT IN (SELECT image_id FROM labels) AND id NOT IN (SELECT image_id FROM queue) ORDER BY shuffle"""
    return [image for (image,) in db.execute(sql, [audit]).fetchall()]


@pytest.mark.parametrize("answered", [0, 3, 30])
def test_images_are_drawn_in_their_random_order(db, answered):
    for image in range(1, 1 + answered):
        say(db, image)
    undo(db, say(db, 40))
    assert drawn(db, "tail") == open_images(db, 0) != []


def test_whatever_happens_to_an_image_it_is_drawn_when_it_can_be(make_instance, monkeypatch):
    db, rng = store.connect(make_instance(audit_share=0.4) / store.FILE), random.Random(3)
    monkeypatch.setattr(queue, "_REFILL", {name: each._replace(at_once=3) for name, each in queue._REFILL.items()})
    for step in range(150):
        image, source = rng.randint(1, 40), rng.choice(["audit", "tail"])
        with store.write(db):
            match rng.randrange(7):
                case 0:
                    queue.refill(db, source)
                case 1:
                    db.execute("UPDATE images SET aside = iif(aside IS NULL, 'gone', NULL) WHERE id = ?", [image])
                    db.execute("DELETE FROM queue WHERE image_id = ? AND ?", [image, rng.random() < 0.5])
                case 2:
                    db.execute("UPDATE images SET row = iif(row IS NULL, id, NULL) WHERE id = ?", [image])
                case 3:
                    images.limit_audit(db, rng.randint(5, 20))
                case 4:
                    queue.forget(db, source, 1e12)
                case 5:
                    labels.add(db, Answer(f"d{step}", image, "label", project.person_id(db, "ann"), 1), "tab", 1e12)
                case 6:
                    images.add(db, f"new {step}", 1000 + step, (8, 8), rng.random(), audit=source == "audit")
        if step % 10 == 0:
            for audit, each in enumerate(("tail", "audit")):
                assert set(drawn(db, each)) == set(open_images(db, audit))
    db.close()


def test_what_leaves_the_audit_is_not_asked_as_one_of_it(make_instance):
    db = store.connect(make_instance(audit_share=0.5) / store.FILE)
    for _ in range(10):
        claim(db, "tab")
    with store.write(db):
        images.limit_audit(db, 1)
    asked = db.execute("SELECT audit FROM queue JOIN images ON images.id = image_id WHERE source = 'audit'").fetchall()
    assert asked == [(1,)]


def test_exports_find_the_latest_answer_that_says_what_stands(db):
    say(db, 1, class_id=1, by="ann")
    say(db, 1, class_id=1, by="ben")
    say(db, 1, class_id=2, by="cleo")  # the newest is outvoted
    say(db, 2, class_id=2, by="ann")
    undo(db, say(db, 2, class_id=1, by="ben"))
    say(db, 3, "skip", by="ann")
    found = {row["image"]: (row["class_id"], row["person"]) for row in files.labeled(db)}
    assert found == {1: (1, "ben"), 2: (2, "ann")}


def test_a_connection_is_used_again_until_another_file_lies_at_its_path(instance: Path):
    connections = Pool(instance / store.FILE)
    first = connections.take()
    connections.give_back(first, spoiled=False)
    assert connections.take().db is first.db
    connections.give_back(first, spoiled=False)
    shutil.copy(instance / store.FILE, instance / "copy")
    (instance / "copy").replace(instance / store.FILE)  # an answer must not go into a file that nobody will find
    second = connections.take()
    assert second.file != first.file
    second.db.execute("BEGIN")
    connections.give_back(second, spoiled=False)
    assert connections.take().db is not second.db
    third = connections.take()
    connections.give_back(third, spoiled=False)
    (instance / store.FILE).write_bytes((instance / store.FILE).read_bytes()[:4096])  # damage is seen, not written over
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        connections.take()
    (instance / store.FILE).unlink()
    with pytest.raises(AnnotatorError, match="no project"):
        connections.take()
