"""Labels that the model doubts come back, within their share, blind, and once."""

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest
from sklearn.datasets import load_digits
from test_pages import Browser

from annotator import create_app, settings
from annotator.importing.folder import scan
from annotator.serving import found
from annotator.store import anchoring, examples, labels, opinions, project, queue, rounds, second_looks, tally
from annotator.store import db as store

NOW = 1000.0


def say(db, image, class_id, person="ann", **more):
    with store.write(db):
        who = project.person_id(db, person)
        uuid = f"{person} {image} {db.execute('SELECT count(*) FROM labels').fetchone()[0]}"
        labels.add(db, labels.Answer(uuid, image, "label", who, class_id, **more), "tab", NOW)
    return uuid


def doubt(db, *images):
    pick = {"round": 1, "strategy": second_looks.STRATEGY, "score": 0.9, "probability": None}
    with store.write(db):
        second_looks.publish(db, [pick | {"image_id": image} for image in images], second_looks.SOURCE, NOW)


def doubted(db):
    sql = "SELECT image_id FROM queue WHERE strategy = ? ORDER BY rank"
    return [image for (image,) in db.execute(sql, [second_looks.STRATEGY])]


def claimed(db, count, looks, tab="tab", now=NOW):
    with store.write(db):
        return queue.claim(db, tab, 1, count, now, looks=looks)


@pytest.mark.parametrize(("share", "expected"), [(0.05, 1), (0.1, 2), (0.2, 4), (0.0, 0)])
def test_second_looks_have_their_share_of_the_slots(db, share, expected):
    for image in range(1, 16):
        say(db, image, 1)
    doubt(db, *range(1, 16))
    slots = claimed(db, 20, share)
    assert [slot["source"] for slot in slots].count("second_look") == expected
    assert len(slots) == 20


def test_what_people_want_again_comes_before_and_in_full(db):
    for image in (1, 2, 3):
        say(db, image, 1)
    doubt(db, 1, 2)
    with store.write(db):
        assert queue.ask_again(db, [2, 3]) == 2
    assert [slot["image_id"] for slot in claimed(db, 2, 0.05)] == [2, 3]
    assert doubted(db) == [1]


def test_when_nothing_else_is_left_second_looks_still_come(db):
    for image in range(1, 41):
        say(db, image, 1)
    doubt(db, 7)
    assert [slot["image_id"] for slot in claimed(db, 3, 0.05)] == [7]


def test_an_image_that_had_its_second_look_is_never_doubted_again(db):
    say(db, 1, 1)
    doubt(db, 1)
    assert 1 in [slot["image_id"] for slot in claimed(db, 20, 0.05)]
    say(db, 1, 1, "bob")
    assert db.execute("SELECT source, strategy, score FROM labels ORDER BY id DESC").fetchone() == (
        "second_look", "confident_learning", 0.9)  # fmt: skip
    assert second_looks.open_to_doubt(db) == []
    doubt(db, 1)
    assert doubted(db) == []


def test_a_second_look_that_was_undone_may_come_again(db):
    say(db, 1, 1)
    doubt(db, 1)
    uuid = say(db, 1, 2)
    with store.write(db):
        labels.add(db, labels.Answer("back", 1, "undo", 1, undoes=uuid), "tab", NOW)
    assert second_looks.open_to_doubt(db) == [1]


def test_a_reviewers_word_is_not_doubted_nor_is_the_audit(make_instance):
    db = store.connect(make_instance("audited", audit_share=0.2) / store.FILE)
    audit = db.execute("SELECT id FROM images WHERE audit").fetchone()[0]
    plain, reviewed = [i for (i,) in db.execute("SELECT id FROM images WHERE NOT audit LIMIT 2")]
    for image in (audit, plain, reviewed):
        say(db, image, 1)
    say(db, reviewed, 1, "eve", source="review")
    assert second_looks.open_to_doubt(db) == [plain]
    doubt(db, audit, reviewed)
    assert doubted(db) == []
    db.close()


def test_a_new_round_replaces_what_nobody_has_on_the_screen(db):
    for image in (1, 2, 3):
        say(db, image, 1)
    doubt(db, 1, 2)
    claimed(db, 1, 0.5)
    claimed(db, 1, 0.5)
    doubt(db, 3)
    assert set(doubted(db)) == {1, 3}  # 1 is on a screen


def test_ones_own_second_answer_counts_and_somebody_elses_makes_a_conflict(db):
    for image in (1, 2):
        say(db, image, 1)
    doubt(db, 1, 2)
    say(db, 1, 2)
    say(db, 2, 2, "bob")
    found = {row["image_id"]: (row["status"], row["class_id"]) for row in db.query("SELECT * FROM states WHERE latest")}
    assert found == {1: ("label", 2), 2: ("conflict", None)}


@pytest.fixture
def digits(tmp_path):
    """300 digits; the file names tell what they are."""
    data, folder = load_digits(), tmp_path / "digits"
    folder.mkdir()
    for row in range(300):
        Image.fromarray((data.images[row] * 15.9).astype(np.uint8)).save(folder / f"{row:03d}-{data.target[row]}.png")
    facts = {"audit_share": 0.0, "image_size": 8, "seed": 1, "learning": {"loop": {"query_size": 20}}}
    found(tmp_path / "instance", "digits", folder, [str(c) for c in range(10)], facts)
    scan(tmp_path / "instance", lambda done, total: None, lambda: False)
    db = store.connect(tmp_path / "instance" / store.FILE)
    with store.write(db):
        rounds.tell(db, "import", activity="complete")
    yield db
    db.close()


def test_a_round_sends_back_the_labels_that_were_flipped(digits, tmp_path):
    from annotator.worker import Worker

    db, rng = digits, np.random.default_rng(0)
    names = dict(db.execute("SELECT image_id, name FROM files").fetchall())
    classes = {row["name"]: row["id"] for row in project.classes(db)}
    wrong = set()
    for image, name in sorted(names.items())[:200]:
        true, shift = int(name[4]), int(rng.integers(1, 10)) if rng.random() < 0.1 else 0
        say(db, image, classes[str((true + shift) % 10)])
        wrong |= {image} if shift else set()
    learner = Worker(tmp_path / "instance")
    learner._look()
    learner.db.close()
    asked = doubted(db)
    assert len(asked) > 10
    assert len(wrong & set(asked)) / len(asked) > 0.6  # a tenth by chance
    assert rounds.finished(db)


def test_with_a_share_of_zero_nothing_is_doubted(learned):
    from annotator.project import StoreProject

    person = StoreProject(learned)
    assert len(person.doubtable()) == 10
    with store.write(person.db):
        project.put(person.db, learning={"asking": {"second_look_share": 0}})
    assert person.doubtable() == frozenset()
    person.db.close()


@pytest.fixture
def browser(learned) -> Browser:
    return Browser(create_app(learned).test_client())


def share(instance, **asking):
    db = store.connect(instance / store.FILE)
    with store.write(db):
        project.put(db, learning=project.facts(db).get("learning", {}) | {"asking": asking})
    db.close()


def test_a_second_look_says_nothing_of_the_model_but_keeps_it(browser, learned):
    share(learned, second_look_share=0.5)
    db = store.connect(learned / store.FILE)
    image = second_looks.open_to_doubt(db)[0]
    doubt(db, image)
    (item,) = [item for item in browser.next(5) if item["image"] == image]
    assert (item["source"], item["suggestion"], item["unshown"].keys()) == (
        "second_look", None, {"class", "confidence", "model"})  # fmt: skip
    assert item["earlier"] == db.execute("SELECT class_id FROM states WHERE image_id = ?", [image]).fetchone()[0]
    db.close()


def test_a_share_of_the_images_has_no_suggestion_always_the_same(browser, learned):
    share(learned, suggestion_share=0.5)
    seen = [{item["image"]: item["suggestion"] is not None for item in browser.next(20)}]
    browser.post("/api/release", {"tab": browser.tab, "images": None})
    seen.append({item["image"]: item["suggestion"] is not None for item in browser.next(20)})
    assert 0 < sum(seen[0].values()) < 20
    both = seen[0].keys() & seen[1].keys()
    assert len(both) > 10
    assert {image: seen[0][image] for image in both} == {image: seen[1][image] for image in both}


@pytest.mark.parametrize(("wanted", "shown"), [(0, 0), (1, 20)])
def test_suggestions_are_all_on_or_all_off(browser, learned, wanted, shown):
    share(learned, suggestion_share=wanted)
    assert sum(item["suggestion"] is not None for item in browser.next(20)) == shown


def test_both_shares_are_set_on_the_page_and_on_the_command_line(browser, learned, photos):
    body = {"method": "propagate", "strategy": "margin", "asking": {"suggestion_share": "0.25"}}
    assert browser.post("/api/settings", body).json["asking"] == {"second_look_share": 0.05, "suggestion_share": 0.25}
    assert 'value="0.25"' in browser.client.get("/settings").text
    body["asking"] = {"suggestion_share": "2"}
    assert "lies from 0 to 1" in browser.post("/api/settings", body).json["error"]
    found(learned, "photos", photos, [], {"learning": {"loop": {}, "asking": {"second_look_share": "0"}}})
    db = store.connect(learned / store.FILE)
    assert settings.asking(db) == settings.Asking(0.0, 0.25)
    db.close()


def suggested(db, image, agrees, shown, model=1, person="ann", source="query"):
    """An answer to a suggestion of class 1."""
    with store.write(db):
        who = project.person_id(db, person)
        db.execute("DELETE FROM queue WHERE image_id = ?", [image])
        slot = {"image_id": image, "source": source, "round": 0, "rank": 0}
        db.table("queue").insert(slot)
        said = {"model": model, "suggested_id": 1, "suggestion_shown": shown}
        uuid = f"{person} {image} {model} {source}"
        labels.add(db, labels.Answer(uuid, image, "label", who, 1 if agrees else 2, **said), "tab", NOW)


def test_agreement_with_suggestions_is_compared_once_there_are_thirty_of_each(db):
    people = [f"p{number}" for number in range(2)]
    for image in range(1, 30):
        suggested(db, image, image > 3, shown=True)
    for person, image in [(person, image) for person in people for image in range(21, 41)]:
        suggested(db, image, image > 30, shown=False, person=person)
    assert anchoring.agreement(tally.count(anchoring.Suggestions, db)) is None
    suggested(db, 30, True, shown=True)
    found = anchoring.agreement(tally.count(anchoring.Suggestions, db))
    assert (found["shown"]["n"], found["shown"]["share"]) == (30, 0.9)
    assert (found["hidden"]["n"], found["hidden"]["share"]) == (40, 0.5)
    expected = proportion_confint(27, 30)
    assert (found["shown"]["low"], found["shown"]["high"]) == pytest.approx(expected)


def proportion_confint(correct, n):
    """Wilson's interval from scipy."""
    interval = binomtest(correct, n).proportion_ci(method="wilson")
    return interval.low, interval.high


def test_other_models_second_looks_and_second_thoughts_are_not_compared(db):
    for image in range(1, 31):
        suggested(db, image, True, shown=True)
        suggested(db, image, True, shown=False, person="bob")
    before = anchoring.agreement(tally.count(anchoring.Suggestions, db))
    for image in range(31, 41):
        suggested(db, image, False, shown=True, model=2)  # of which none was hidden
        suggested(db, image, False, shown=True, source="second_look", person="bob")
    suggested(db, 1, False, shown=False, model=1, source="tail")  # ann answered it before
    assert anchoring.agreement(tally.count(anchoring.Suggestions, db)) == before


def test_examples_are_reviewed_then_agreed_then_sure_and_never_of_the_audit(make_instance):
    instance = make_instance("audited", audit_share=0.2)
    db = store.connect(instance / store.FILE)
    audit = [image for (image,) in db.execute("SELECT id FROM images WHERE audit")]
    others = [image for (image,) in db.execute("SELECT id FROM images WHERE NOT audit ORDER BY id")]
    for image in (*audit, *others[:8]):
        say(db, image, 1)
    say(db, others[8], 2)
    say(db, others[2], 1, "bob")
    say(db, others[5], 1, "eve", source="review")
    rows = examples.candidates(db, 1)
    assert {row["image_id"] for row in rows} == set(others[:8])
    shown = [row["image_id"] for row in examples.best(rows, {others[0]: 0.7, others[1]: 0.9})]
    assert shown[:4] == [others[5], others[2], others[1], others[0]]
    assert len(shown) == 6
    db.close()


def test_examples_come_as_pictures(browser):
    (first, *_rest) = browser.client.get("/api/examples?class=1").json["examples"]
    with browser.client.get(first["url"]) as picture:
        assert picture.status_code == 200
    assert browser.client.get("/api/examples?class=99").json == {"ok": True, "examples": []}
    assert browser.client.get("/api/examples?class=x").json["examples"] == []


def test_second_looks_say_nothing_of_how_far_people_agree(db):
    for image in (1, 2):
        say(db, image, 1)
    doubt(db, 1, 2)
    say(db, 1, 2, "bob")
    say(db, 2, 2)  # ann's own
    assert tally.count(opinions.Opinions, db).together.units.total() == 0


def test_what_waits_for_another_opinion_is_not_doubted(db):
    with store.write(db):
        project.put(db, together={"overlap": 2})
    for image in (1, 2):
        say(db, image, 1)
    say(db, 2, 1, "bob")
    assert second_looks.open_to_doubt(db) == [2]


def test_a_second_look_is_one_answer_more_where_several_are_asked(db):
    with store.write(db):
        project.put(db, together={"overlap": 2})
    for person in ("ann", "bob"):
        say(db, 1, 1, person)
    doubt(db, 1)
    say(db, 1, 2)
    assert queue.slot_of(db, 1) is None
