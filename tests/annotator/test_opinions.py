"""What people said of the same images, and how each works: counted by hand on a few answers, and by brute force."""

import random
import statistics
from collections import Counter
from itertools import count

import pytest
from sklearn.metrics import cohen_kappa_score
from sqlite_utils import Database

from annotator import agreement
from annotator.store import db as store
from annotator.store import labels, opinions, project, tally
from annotator.store.labels import Answer
from annotator.store.opinions import Opinions, Share

numbers = count()


def say(db: Database, who: str, image: int, class_id: int | None = 1, kind: str = "label", **more) -> Answer:
    with store.write(db):
        answer = Answer(f"q{next(numbers)}", image, kind, project.person_id(db, who), class_id, **more)
        labels.add(db, answer, "tab", 0.0)
    return answer


def undo(db: Database, who: str, answer: Answer) -> None:
    say(db, who, answer.image_id, None, "undo", undoes=answer.uuid)


def work(db: Database, counted: Opinions) -> dict[int, dict]:
    return opinions.work_of(counted, opinions.medians(db))


def number(db: Database, who: str) -> int:
    with store.write(db):
        return project.person_id(db, who)


def test_only_the_last_standing_label_of_each_person_counts(db):
    say(db, "ann", 1, 1)
    say(db, "ann", 1, 2)
    undo(db, "bob", say(db, "bob", 1, 1))
    assert tally.count(Opinions, db).together.units == {}
    say(db, "bob", 1, 2)
    assert tally.count(Opinions, db).together.units == {(2, 2): 1}


def test_a_reviewers_word_and_a_file_are_no_opinions(db):
    say(db, "ann", 1, 1)
    say(db, "rob", 1, 2, source="review")
    with store.write(db):
        row = {"uuid": "i", "image_id": 1, "kind": "label", "class_id": 2, "person_id": project.person_id(db, "import")}
        db["labels"].insert(row | {"source": "import", "via": "import", "created": "now"})
    assert tally.count(Opinions, db).together.units == {}


def test_who_skips_or_is_unsure_says_no_class(db):
    say(db, "ann", 1, 1)
    say(db, "bob", 1, None, "unsure")
    say(db, "cat", 1, 1)
    assert tally.count(Opinions, db).together.units == {(1, 1): 1}


def test_pairs_of_people_have_the_kappa_of_scikit_learn(db):
    rng = random.Random(3)
    said = {(who, image): rng.choice([1, 1, 2]) for who in ("ann", "bob", "cat") for image in range(1, 41)}
    with store.write(db):
        ids = {who: project.person_id(db, who) for who in ("ann", "bob", "cat")}
        for (who, image), class_id in said.items():
            labels.add(db, Answer(f"k{who}{image}", image, "label", ids[who], class_id), "tab", 0.0)
    found = tally.count(Opinions, db).together
    for one, other in (("ann", "bob"), ("ann", "cat"), ("bob", "cat")):
        truth = cohen_kappa_score(*([said[who, image] for image in range(1, 41)] for who in (one, other)))
        assert agreement.cohen(found.pairs[ids[one], ids[other]]) == pytest.approx(truth)
    assert agreement.images(found.units) == 40


def test_merged_classes_are_one(db):
    say(db, "ann", 1, 1)
    say(db, "bob", 1, 2)
    db.execute("UPDATE classes SET counts_as = 1 WHERE id = 2")
    assert tally.count(Opinions, db).together.units == {(1, 1): 1}


def test_a_person_is_compared_with_most_of_the_others(db):
    for image, classes in enumerate([(1, 1, 1), (2, 1, 1), (1, 1, 2)], start=1):
        for who, class_id in zip(("ann", "bob", "cat"), classes, strict=True):
            say(db, who, image, class_id)
    found = tally.count(Opinions, db).together.with_others
    # bob and cat agree on images 1 and 2; in the third they do not, so that ann cannot be compared with them
    assert found[number(db, "ann")] == Share(1, 2)
    assert found[number(db, "cat")] == Share(1, 2)  # ann and bob agree on images 1 and 3


def test_audit_images_are_counted_apart(db):
    db.execute("UPDATE images SET audit = 1 WHERE id = 1")
    for image in (1, 2):
        say(db, "ann", image, 1)
        say(db, "bob", image, image)
    found = tally.count(Opinions, db).together
    assert found.with_others[number(db, "ann")] == Share(1, 2)
    assert found.in_audit[number(db, "ann")] == Share(1, 1)


def test_agreement_with_what_reviewers_decided(db):
    for image in (1, 2, 3):
        say(db, "ann", image, 1)
    say(db, "rob", 1, 1, source="review")
    say(db, "rob", 2, 2, source="review")
    undo(db, "rob", say(db, "rob", 3, 2, source="review"))
    assert tally.count(Opinions, db).decided == {number(db, "ann"): Share(1, 2)}


def test_the_work_of_a_person_is_what_stands(db):
    seconds = [1.0, 2.0, 4.0, 500.0]
    for image, took in enumerate(seconds, start=1):
        say(db, "ann", image, 1, seconds=took, suggested_id=1 if image < 3 else 2, suggestion_shown=image < 4)
    say(db, "ann", 5, None, "skip", seconds=3.0)
    say(db, "ann", 6, None, "unsure")
    say(db, "ann", 7, None, "flag")
    undo(db, "ann", say(db, "ann", 8, None, "skip"))
    row = work(db, tally.count(Opinions, db))[number(db, "ann")]
    assert (row["answers"], row["labels"], row["timed"], row["median"]) == (7, 4, 4, statistics.median(seconds))
    assert row["active"] == 1 + 2 + 4 + opinions.LONGEST + 3
    assert (row["skipped"], row["unsure"], row["flagged"]) == (1, 1, 1)
    assert (row["taken"], row["shown"]) == (2, 3)


def test_a_project_of_one_person_says_that_there_is_nothing_to_compare(db):
    say(db, "ann", 1)
    found = opinions.agreement_of(tally.count(Opinions, db).together)
    assert (found["alpha"], found["fleiss"], found["images"]) == (None, None, 0)
    assert found["meaning"] == "no image has labels of two people yet"


def test_units_are_those_of_a_brute_force_over_the_answers(db):
    rng = random.Random(5)
    last: dict[tuple[int, str], int] = {}
    with store.write(db):
        for each in range(300):
            image, who, class_id = rng.randint(1, 40), rng.choice("abcd"), rng.choice([1, 2])
            labels.add(db, Answer(f"b{each}", image, "label", project.person_id(db, who), class_id), "tab", 0.0)
            last[image, who] = class_id
    images: dict[int, list[int]] = {}
    for (image, _), class_id in last.items():
        images.setdefault(image, []).append(class_id)
    expected = Counter(tuple(sorted(each)) for each in images.values() if len(each) > 1)
    assert tally.count(Opinions, db).together.units == expected


def _anything(rng: random.Random, uuid: str, people: list[int], given: list[Answer]) -> Answer:
    """One more thing that may be said, or taken back."""
    if given and rng.random() < 0.2:
        undone = rng.choice(given)
        if undone.kind != "undo":
            return Answer(uuid, undone.image_id, "undo", undone.person_id, undoes=undone.uuid)
    kind = rng.choice(["label", "label", "label", "skip", "unsure", "flag"])
    class_id = rng.choice([1, 2]) if kind == "label" else None
    seen = {"seconds": rng.choice([None, 1.2345, 200.0]), "suggested_id": 1, "suggestion_shown": rng.random() < 0.5}
    source = "review" if rng.random() < 0.1 else None
    return Answer(uuid, rng.randint(1, 12), kind, rng.choice(people), class_id, source=source, **seen)


def test_what_is_kept_up_to_date_is_what_is_counted_from_nothing(db, monkeypatch):
    rng = random.Random(7)
    monkeypatch.setattr(tally, "FEW", 12)  # more at once are counted from nothing
    db.execute("UPDATE images SET audit = 1 WHERE id < 6")
    kept, given = tally.count(Opinions, db), []
    with store.write(db):
        people = [project.person_id(db, name) for name in "abcd"]
    for step in range(60):
        with store.write(db):
            for each in range(rng.choice([0, 1, 1, 2, 30])):
                labels.add(db, answer := _anything(rng, f"r{step}-{each}", people, given), "tab", 0.0)
                given.append(answer)
        if step == 30:
            db.execute("UPDATE classes SET counts_as = 1 WHERE id = 2")
        if step == 40:
            db.execute("UPDATE classes SET counts_as = NULL")
            db.execute("UPDATE images SET audit = 0 WHERE id = 3")
        kept = tally.count(Opinions, db, kept)
        anew = tally.count(Opinions, db)
        pairs = [{key: said for key, said in each.together.pairs.items() if said} for each in (kept, anew)]
        assert pairs[0] == pairs[1]
        assert kept.together.units == anew.together.units
        assert kept.together.with_others == anew.together.with_others
        assert kept.together.in_audit == anew.together.in_audit
        assert kept.decided == anew.decided
        assert work(db, kept) == work(db, anew)
    assert agreement.images(kept.together.units) > 3


def test_what_was_counted_of_another_store_is_not_built_upon(db, make_instance):
    say(db, "ann", 1, 1)
    other = store.connect(make_instance("other") / store.FILE)
    say(other, "bob", 1, 1)
    kept = tally.count(Opinions, other)
    other.close()
    assert tally.count(Opinions, db, kept).work.keys() == {number(db, "ann")}
