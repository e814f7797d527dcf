"""Classes that change, against a model in plain Python; what follows for learner, exports and old predictions."""

import csv
import random
import time
import uuid
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live import answer_truly
from sqlite_utils import Database
from test_store import NOW, claim, copied, current, person, say

from annotator import predictions
from annotator.errors import AnnotatorError, NotFound
from annotator.export import csv as csv_format
from annotator.importing.folder_labels import FolderLabels
from annotator.predicting import predict_pool
from annotator.project import StoreProject
from annotator.store import classes, labels, project, queue, rounds, states
from annotator.store import db as store
from annotator.store.classes import Change
from annotator.worker import Worker

CAT, DOG = 1, 2


def do(db: Database, action: str, class_id: int = 0, **values) -> classes.Plan:
    change = Change(action, class_id, **values)
    plan = classes.plan(db, change)
    with store.write(db):
        return classes.do(db, change, plan, project.person_id(db, "ann"))


def add(db: Database, name: str) -> int:
    do(db, "add", name=name)
    return project.class_names(db)[name]


def keys(db: Database) -> dict[str, str]:
    return {row["name"]: row["key"] for row in project.classes(db)}


# ---- what counts, against a model


class Model:
    """What people said and what became of the classes, as lists and dictionaries."""

    def __init__(self) -> None:
        self.said: list[dict] = []
        self.into: dict[int, int | None] = {CAT: None, DOG: None}
        self.retired: set[int] = set()

    def end(self, class_id: int) -> int:
        while (target := self.into[class_id]) is not None:
            class_id = target
        return class_id

    def is_retired(self, class_id: int) -> bool:
        return self.end(class_id) in self.retired

    def offered(self) -> list[int]:
        return [each for each, target in self.into.items() if target is None and each not in self.retired]

    def current(self) -> dict[int, tuple[str, int | None]]:
        undone = {each["undoes"] for each in self.said}
        standing = [each for each in self.said if each["kind"] != "undo" and each["uuid"] not in undone]
        found = {image: self.verdict([each for each in standing if each["image"] == image]) for image in range(1, 6)}
        return {image: verdict for image, verdict in found.items() if verdict}

    def verdict(self, standing: list[dict]) -> tuple[str, int | None] | None:
        """`standing` is of one image, oldest first."""
        latest = {each["person"]: each for each in standing}.values()
        votes = []
        for each in latest:
            later = [other for other in standing[standing.index(each) + 1 :] if other["kind"] != "skip"]
            if not (each["kind"] == "label" and self.is_retired(each["class"]) and later):
                votes.append(each)
        kinds = Counter(each["kind"] for each in votes)
        if not votes:
            return None
        if kinds["flag"]:
            return "flag", None
        counts = Counter(self.end(each["class"]) for each in votes if each["kind"] == "label")
        voters = kinds["label"] + kinds["unsure"]
        for class_id, count in counts.items():
            if 2 * count > voters:
                return ("retired" if class_id in self.retired else "label"), class_id
        return ("conflict" if counts else "unsure" if voters else "skip"), None


def play(db: Database, model: Model, chance: random.Random) -> None:
    """One step at random, in the store and in the model; the store refuses what the model knows to be impossible."""
    step = chance.choice(["say"] * 6 + ["undo", "add", "edit", "merge", "merge", "retire", "restore", "move", "ask"])
    everyone = list(model.into)
    one, other = chance.choice(everyone), chance.choice(everyone)
    if step == "say":
        kind = chance.choice(["label"] * 6 + ["skip", "unsure", "flag"])
        who, image = f"p{chance.randrange(3)}", chance.randrange(1, 6)
        answer = say(db, image, kind, one, by=who)
        said = {
            "uuid": answer.uuid,
            "image": image,
            "kind": kind,
            "class": answer.class_id,
            "person": who,
            "undoes": None,
        }
        model.said.append(said)
    elif step == "undo" and (mine := [each for each in model.said if each["kind"] != "undo"]):
        taken = chance.choice(mine)
        back = labels.Answer(
            uuid.uuid4().hex, taken["image"], "undo", person(db, taken["person"]), undoes=taken["uuid"]
        )
        with store.write(db):
            labels.add(db, back, "tab", NOW)
        model.said.append(taken | {"uuid": back.uuid, "kind": "undo", "undoes": taken["uuid"]})
    elif step == "add":
        model.into[add(db, f"class {len(everyone)}")] = None
    elif step == "edit" and one in model.offered():
        do(db, "edit", one, name=uuid.uuid4().hex)
    elif step == "move" and one in model.offered():
        do(db, "move", one, place=chance.randrange(len(model.offered())) + 1)
    else:
        change_of_set(db, model, step, one, other)


def change_of_set(db: Database, model: Model, step: str, one: int, other: int) -> None:
    offered = model.offered()
    few = one in offered and len(offered) == 2
    possible = {
        "merge": one != other and model.into[one] is None and other in offered and not few,
        "retire": one in offered and not few,
        "restore": one not in offered,
    }
    if step not in possible:
        return
    if not possible[step]:
        with pytest.raises(AnnotatorError):
            do(db, step, one, into=other)
        return
    do(db, step, one, into=other)
    model.retired.discard(one)
    model.into[one] = other if step == "merge" else None
    if step == "retire":
        model.retired.add(one)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_after_any_sequence_the_labels_are_those_of_the_model(instance, seed):
    chance, model = random.Random(seed), Model()
    with copied(instance) as db:
        db.execute("PRAGMA synchronous = OFF")
        for _ in range(60):
            play(db, model, chance)
            found = {image: (status, class_id if status in ("label", "retired") else None)
                     for image, (status, class_id) in current(db).items()}  # fmt: skip
            assert found == model.current()
            assert states.wrong(db) == []
        assert {row["id"] for row in project.classes(db)} == set(model.offered())
        raw = [row[:2] for row in db.execute("SELECT uuid, class_id FROM labels WHERE kind = 'label'").fetchall()]
        assert raw == [(each["uuid"], each["class"]) for each in model.said if each["kind"] == "label"]
        used = [key for key in keys(db).values() if key]
        assert len(used) == len(set(used))
        meant = {each: None if model.is_retired(each) else model.end(each) for each in model.into}
        assert project.class_meanings(db) == meant


def test_a_preview_says_what_happens_and_changes_nothing(db):
    owl = add(db, "owl")
    say(db, 1, class_id=owl)
    say(db, 2, class_id=owl, by="bob")
    before = "\n".join(db.conn.iterdump())
    plan = classes.plan(db, Change("merge", owl, into=CAT))
    assert "\n".join(db.conn.iterdump()) == before
    assert plan.says[:2] == ["2 images count as 'cat' from now on", "the key 3 becomes free"]
    assert (plan.images, do(db, "merge", owl, into=CAT).says) == (2, plan.says)


def test_a_plan_made_before_somebody_else_changed_the_classes_is_made_anew(db):
    add(db, "owl")
    change = Change("retire", CAT)
    plan = classes.plan(db, change)
    do(db, "retire", DOG)
    with pytest.raises(AnnotatorError, match="needs 2 classes"), store.write(db):
        classes.do(db, change, plan, 1)
    assert list(keys(db)) == ["cat", "owl"]


REFUSED = {
    "into nothing": (Change("merge", CAT), "choose the class"),
    "name taken": (Change("edit", CAT, name="dog"), "there is a class 'dog' already"),
    "name of a retired one": (Change("add", name="bat"), "retired class 'bat'"),
    "name of a merged one": (Change("add", name="emu"), "merged class 'emu'"),
    "no name": (Change("add", name=" \t "), "needs a name"),
    "a long name": (Change("add", name="x" * 201), "201 characters"),
    "a name of two lines": (Change("edit", CAT, name="a\nb"), "do not print"),
    "half a character": (Change("edit", CAT, name="\ud800"), "do not print"),
    "key taken": (Change("edit", CAT, key="2"), "belongs to 'dog'"),
    "a command": (Change("edit", CAT, key="u"), "command of the label page"),
    "no key": (Change("edit", CAT, key="12"), "cannot be the key"),
    "script as key": (Change("edit", CAT, key="<"), "cannot be the key"),
    "no colour": (Change("edit", CAT, colour="red;x"), "no colour"),
    "long guidance": (Change("edit", CAT, guidance="x" * 301), "at most 300"),
    "nothing": (Change("edit", CAT, name="cat"), "nothing about 'cat' changes"),
    "into itself": (Change("merge", CAT, into=CAT), "into itself"),
    "into a retired one": (Change("merge", CAT, into=3), "'bat' is retired"),
    "into a merged one": (Change("merge", CAT, into=4), "'emu' was merged"),
    "merged twice": (Change("merge", 4, into=DOG), "merged already"),
    "the last but one retired": (Change("retire", CAT), "needs 2 classes"),
    "the last but one merged": (Change("merge", CAT, into=DOG), "needs 2 classes"),
    "retired twice": (Change("retire", 3), "is retired"),
    "nothing to bring back": (Change("restore", CAT), "nothing to bring back"),
    "no such place": (Change("move", CAT, place=3), "choose from 1 to 2"),
    "nobody to ask": (Change("ask", CAT), "nothing to ask"),
    "unknown": (Change("explode", CAT), "unknown action"),
    "unknown class": (Change("edit", 99, name="x"), "no class 99"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_in_one_line_and_changes_nothing(db, case):
    bat, emu = add(db, "bat"), add(db, "emu")
    do(db, "retire", bat)
    do(db, "merge", emu, into=CAT)
    change, named = REFUSED[case]
    before = list(db["classes"].rows)
    with pytest.raises((AnnotatorError, NotFound), match=named) as error:
        classes.plan(db, change)
    assert "\n" not in str(error.value)
    assert list(db["classes"].rows) == before


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "../../etc", "'; DROP TABLE labels", "é", "🐈", "x" * 200]
)
def test_a_name_may_be_any_text(db, name):
    do(db, "edit", CAT, name=f"  {name} ")
    assert project.classes(db)[0]["name"] == name


def test_keys_go_where_the_preview_says(db):
    owl = add(db, "owl")
    do(db, "edit", DOG, key="")
    assert "the key 3 moves to 'dog'" in do(db, "merge", owl, into=DOG).says
    assert keys(db) == {"cat": "1", "dog": "3"}
    assert "with the key 2" in do(db, "restore", owl).says[0]
    assert keys(db) == {"cat": "1", "dog": "3", "owl": "2"}


def test_a_retired_class_gets_another_key_when_its_own_was_taken(db):
    owl = add(db, "owl")
    do(db, "retire", owl)
    do(db, "edit", CAT, key="3")
    do(db, "restore", owl)
    assert keys(db) == {"cat": "3", "dog": "2", "owl": "1"}


def test_the_order_is_what_was_set_and_new_ones_come_last(db):
    add(db, "owl")
    do(db, "move", DOG, place=1)
    add(db, "yak")
    assert list(keys(db)) == ["dog", "cat", "owl", "yak"]


def test_everything_that_was_done_is_remembered_with_who_did_it(db):
    owl = add(db, "owl")
    do(db, "edit", owl, name="eagle owl", guidance="Has ears.")
    do(db, "merge", owl, into=CAT)
    told = [(row["what"], row["before"], row["after"], row["person"]) for row in classes.changes(db)][:4]
    assert told == [
        ("merged_into", None, str(CAT), "ann"), ("guidance", "", "Has ears.", "ann"),
        ("name", "owl", "eagle owl", "ann"), ("added", None, "owl", "ann"),
    ]  # fmt: skip


# ---- what follows


def exported(instance: Path, db: Database, out: Path) -> dict[int, str]:
    csv_format.export(instance, db, out)
    with out.open(encoding="utf-8", newline="") as file:
        return {int(row["image"]): row["class"] for row in csv.DictReader(file)}


def test_exports_have_the_merged_class_and_not_the_retired_one(instance, db, tmp_path):
    owl, eagle = add(db, "owl"), add(db, "eagle")
    for image, class_id in ((1, CAT), (2, owl), (3, eagle)):
        say(db, image, class_id=class_id)
    do(db, "merge", owl, into=DOG)
    do(db, "retire", eagle)
    assert exported(instance, db, tmp_path / "a.csv") == {1: "cat", 2: "dog"}
    assert labels.counts(db) == {CAT: 1, DOG: 1}
    do(db, "restore", owl)
    do(db, "restore", eagle)
    assert exported(instance, db, tmp_path / "b.csv") == {1: "cat", 2: "owl", 3: "eagle"}


def test_images_of_a_retired_class_are_asked_again_first(db):
    owl = add(db, "owl")
    for image in (7, 8):
        say(db, image, class_id=owl)
    do(db, "retire", owl)
    assert do(db, "ask", owl).images == 2
    assert {queue.slot_of(db, image)["source"] for image in (7, 8)} == {"second_look"}
    assert sorted(claim(db, "tab", 2)) == [7, 8]
    say(db, 7, class_id=CAT, by="bob")
    assert (current(db)[7], current(db)[8]) == (("label", CAT), ("retired", owl))
    assert list(db.query("SELECT source FROM labels WHERE person_id = 2")) == [{"source": "second_look"}]
    assert queue.slot_of(db, 7) is None


def test_the_same_command_again_does_not_bring_old_names_back(db):
    owl = add(db, "owl")
    do(db, "edit", CAT, name="kitten")
    do(db, "merge", owl, into=DOG)
    with store.write(db):
        project.add_classes(db, ["cat", "dog", "owl"])
    assert list(keys(db)) == ["kitten", "dog"]


def test_folders_called_by_an_old_name_mean_the_class_of_now(db):
    do(db, "edit", CAT, name="kitten")
    assert FolderLabels.of(db, [])._class_of(b"cat/a.png") == CAT


def write_predictions(path: Path, *rows: tuple[float, ...]) -> Path:
    """Of the classes 1, 2, 3 for the images 1, 2, ..."""
    probs = np.array(rows, np.float32)
    predictions.write(path, np.arange(1, len(rows) + 1), probs, [1, 2, 3])
    return path


def test_old_predictions_are_read_as_what_their_classes_count_as_now(tmp_path):
    path = write_predictions(tmp_path / "p.db", (0.4, 0.35, 0.25), (0.1, 0.1, 0.8), (0.002, 0.001, 0.997))
    merged = predictions.read(path, [1, 2], {1: 1, 2: 2, 3: 2, 4: 4})
    assert merged[1].class_id == 2
    assert merged[1].probs == pytest.approx({1: 0.4, 2: 0.6})
    retired = predictions.read(path, [1, 2, 3], {1: 1, 2: 2, 3: None})
    assert retired[2].probs == pytest.approx({1: 0.5, 2: 0.5})
    assert retired[1].confidence == pytest.approx(0.4 / 0.75)
    assert 3 not in retired
    only = predictions.read(path, [1], {1: 2, 2: 2, 3: 2})[1]
    assert (only.class_id, only.second_id) == (2, None)
    assert predictions.read(path, [1])[1].class_id == 1
    assert predictions.read_all(path, {1: 1, 2: 2, 3: 2})[1] == (2, pytest.approx(0.6))


@pytest.fixture
def learner(learned: Path):
    """The learning process of a project with ten labels and a model, driven look by look."""
    found = Worker(learned)
    yield found
    found.stopping.set()
    found.db.close()


def model(db: Database) -> tuple[int, list[int]]:
    """The round of the newest model, and the classes it knows."""
    row = rounds.latest_model(db)
    folder = Path(db.execute("PRAGMA database_list").fetchone()[2]).parent
    return row["number"], predictions.classes(folder / row["folder"] / predictions.FILE)


def test_a_name_a_colour_or_an_order_makes_no_round_due(learner):
    do(learner.db, "edit", CAT, name="kitten", colour="#aa0000")
    do(learner.db, "move", DOG, place=1)
    learner._look()
    assert model(learner.db) == (1, [CAT, DOG])


@pytest.mark.long
def test_another_set_of_classes_is_learned_at_once(learner, tmp_path):
    owl = add(learner.db, "owl")
    learner._look()
    assert model(learner.db) == (2, [CAT, DOG, owl])
    learner._look()
    assert model(learner.db)[0] == 2
    do(learner.db, "merge", DOG, into=owl)
    assert predict_pool(learner.instance, tmp_path / "p.csv").written == 40
    rows = csv.DictReader((tmp_path / "p.csv").read_text().splitlines())
    assert {row["class"] for row in rows} == {"cat", "owl"}
    learner._look()
    assert model(learner.db) == (3, [CAT, owl])
    assert set(StoreProject(learner.instance).news(0).labels.values()) == {0, 1}
    answer_truly_again(learner.db)


def answer_truly_again(db: Database) -> None:
    """Somebody whose page still has the old classes: what they say is stored and counts."""
    before = labels.counts(db)
    (image,) = claim(db, "old tab", now=time.time())
    say(db, image, class_id=DOG)
    after = labels.counts(db)
    assert sum(after.values()) == sum(before.values()) + 1
    assert DOG not in after


def test_a_retired_class_is_no_output_and_its_labels_do_not_train(learner):
    owl = add(learner.db, "owl")
    image = learner.db.execute("SELECT image_id FROM answers ORDER BY image_id").fetchone()[0]
    say(learner.db, image, class_id=owl)
    learner._look()
    do(learner.db, "retire", owl)
    learner._look()
    assert model(learner.db) == (3, [CAT, DOG])
    news = StoreProject(learner.instance).news(0)
    assert image in news.withheld
    assert image not in news.labels


def test_a_round_in_progress_keeps_the_classes_it_began_with(learner, monkeypatch):
    keep = StoreProject._keep
    added = []

    def meanwhile(self, event):
        if not added:
            added.append(add(self.db, "owl"))
        keep(self, event)

    monkeypatch.setattr(StoreProject, "_keep", meanwhile)
    answer_truly(learner.db, 10)
    learner._look()
    assert model(learner.db) == (3, [CAT, DOG, *added])
    second = learner.instance / "rounds" / "2" / predictions.FILE
    assert predictions.classes(second) == [CAT, DOG]


def test_a_net_of_other_classes_is_no_start_for_the_next(learner):
    assert learner.project.previous(2) is not None or rounds.latest_model(learner.db)
    add(learner.db, "owl")
    learner.project.news(0)
    assert learner.project.previous(2) is None
