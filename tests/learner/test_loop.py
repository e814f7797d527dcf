"""The loop, on a project in memory and on one in a store: the same contract, the same rounds."""

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from annotator.project import StoreProject
from annotator.store import db as store
from annotator.store import labels
from annotator.store import project as project_store
from learner import loop
from learner.acquisition import STRATEGIES, auto, coreset
from learner.acquisition.coreset import select_coreset
from learner.config import BasicSettings, LoopSettings, PropagateSettings
from learner.data import Exam, ImageSet
from learner.errors import Cancelled, NotFinite, OutOfMemory
from learner.events import Predicted, Ranked, RoundFinished, RoundStarted
from learner.loop import advance
from learner.project import LoopState, Project, Query
from learner.settings import Choice
from learner.simulate import MemoryProject
from learner.training import fit, propagate, scratch

PROPAGATE = Choice("propagate", PropagateSettings(mc_samples=5))
MARGIN = Choice("margin")
BASIC = Choice("basic", BasicSettings(width=1, steps=9, batch_size=8))
SETTINGS = LoopSettings(query_size=4, budget=16, tail_size=3, full_query_only=True, seed=3)


def some_images(number: int = 60) -> tuple[ImageSet, np.ndarray]:
    """Three classes of noisy brightness."""
    rng = np.random.default_rng(0)
    classes = np.arange(number) % 3
    pixels = rng.integers(0, 40, (number, 8, 8, 3)) + 90 * classes[:, None, None, None]
    return ImageSet.of(pixels.astype(np.uint8), flip=False), classes


def memory(truth: bool = False, **more) -> MemoryProject:
    images, classes = some_images()
    return MemoryProject(images, 3, truth=classes if truth else None, **more)


class Person:
    """Answers the open query of a project, one image at a time."""

    def __init__(self, project: MemoryProject, classes: np.ndarray) -> None:
        self.project, self.classes = project, classes

    def answer_one(self) -> bool:
        """False when everything that was asked is answered."""
        state = self.project.load_state()
        open_ids = [i for i in state.query.ids if i not in self.project.news(state.cursor).answered]
        if not open_ids:
            return False
        self.project.answer(open_ids[0], int(self.classes[open_ids[0]]))
        return True


@pytest.mark.parametrize("name", STRATEGIES)
def test_killed_and_resumed_after_every_answer_ends_in_the_same_state(name, monkeypatch):
    monkeypatch.setattr(propagate, "STEPS", 20)
    strategy = Choice(name, STRATEGIES[name].settings())
    images, classes = some_images()
    whole = MemoryProject(images, 3, truth=classes)
    advance(whole, PROPAGATE, strategy, SETTINGS)
    pieces = MemoryProject(images, 3, classes=classes)
    advance(pieces, PROPAGATE, strategy, SETTINGS)
    person = Person(pieces, classes)
    while person.answer_one():
        pieces.images.memo.clear()  # a new process knows nothing
        advance(pieces, PROPAGATE, strategy, SETTINGS)
    assert pieces.load_state() == whole.load_state()
    assert len(whole.news(0).labels) == 16


def test_auto_asks_by_the_strategy_of_its_schedule_and_the_round_says_which_and_why(monkeypatch):
    monkeypatch.setitem(auto.SCHEDULE, "spreading", ((0, "coreset"), (3, "margin")))
    events: list = []
    project = memory(truth=True, report=events.append)
    advance(project, PROPAGATE, Choice("auto"), replace(SETTINGS, duplicates=1.0))
    rounds = [event for event in events if isinstance(event, RoundFinished)]
    assert [query.strategy for query in project.asked][:2] == ["typiclust", "coreset"]
    assert [(r.labels, r.strategy) for r in rounds] == [(4, "coreset"), (8, "coreset"), (12, "margin"), (16, "margin")]
    assert "auto: margin at 4.0 labels per class, method propagate" in rounds[2].note
    assert ["begun by auto: typiclust, no labels yet" in r.note for r in rounds] == [True, False, False, False]


def test_where_another_strategy_has_to_begin_the_reason_is_its_own(monkeypatch):
    """A hundred labels of one class give no model, and `auto` would ask one."""
    images, _ = some_images()
    project = MemoryProject(images, 3)
    for image in range(30):
        project.answer(image, 0)
    settings = replace(SETTINGS, budget=0, cold_start="coreset")
    advance(project, BASIC, Choice("auto"), settings)
    query = project.load_state().query
    assert query.strategy == "coreset"
    assert "labels per class" not in query.note


def test_the_tail_of_a_random_ranking_has_no_probabilities():
    project, tails = memory(truth=True), []
    publish = project.publish

    def keep(query, source, round):
        tails.extend([query] if source == "tail" else [])
        publish(query, source, round)

    project.publish = keep
    advance(project, PROPAGATE, Choice("random"), SETTINGS)
    assert project.asked[1].probabilities == pytest.approx([4 / 56] * 4)
    assert tails
    assert all(len(tail.ids) == 3 and tail.probabilities is None for tail in tails)


def test_strategies_can_see_what_the_current_model_sees(monkeypatch):
    """Before there is a model they see what they see otherwise."""
    seen = []

    def keep(candidates, size, rng, settings):
        seen.append(candidates.pool.need("embedding").shape[1])
        return select_coreset(candidates, size, rng, settings)

    monkeypatch.setattr(coreset, "select_coreset", keep)
    settings = replace(SETTINGS, features="penultimate", budget=8)
    advance(memory(truth=True), PROPAGATE, Choice("coreset"), settings)
    assert seen[0] != propagate.HIDDEN == seen[-1]


@pytest.mark.parametrize("killed_in", [RoundStarted, Predicted, RoundFinished])
def test_a_round_killed_in_the_middle_is_played_again_the_same(killed_in):
    armed = [True]

    def report(event):
        if isinstance(event, killed_in) and armed.pop() if armed else False:
            raise Cancelled

    images, classes = some_images()
    killed = MemoryProject(images, 3, truth=classes, report=report)
    with pytest.raises(Cancelled):
        advance(killed, PROPAGATE, MARGIN, SETTINGS)
    advance(killed, PROPAGATE, MARGIN, SETTINGS)
    whole = memory(truth=True)
    advance(whole, PROPAGATE, MARGIN, SETTINGS)
    assert killed.load_state() == whole.load_state()


def no_memory(*_: object) -> None:
    np.empty(2**50, np.uint8)


def no_memory_for_tensors(*_: object) -> None:
    torch.empty(2**50)


@pytest.mark.parametrize("fail", [no_memory, no_memory_for_tensors])
@pytest.mark.parametrize("where", ["_train", "_predict", "select", "cold_query"])
def test_memory_that_runs_out_is_named_with_the_way_out(where, fail, monkeypatch):
    monkeypatch.setattr(loop, where, fail)
    with pytest.raises(OutOfMemory, match=r"out of memory: .*set a smaller batch_size or max_images"):
        advance(memory(truth=True), PROPAGATE, MARGIN, SETTINGS)


def test_other_errors_stay_what_they_are(monkeypatch):
    def fail(round):
        raise RuntimeError("a defect")

    monkeypatch.setattr(loop, "_train", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        advance(memory(truth=True), PROPAGATE, MARGIN, SETTINGS)


def test_a_model_whose_probabilities_are_not_finite_ends_its_round(monkeypatch):
    from learner.training.propagate import GraphClassifier

    monkeypatch.setattr(GraphClassifier, "_spread", lambda self, images, *_: np.full((len(images), 3), np.nan))
    with pytest.raises(NotFinite, match="of 60 of 60 images are not finite"):
        advance(memory(truth=True), PROPAGATE, MARGIN, SETTINGS)


def test_the_seed_decides_everything():
    def asked(seed: int) -> list[Query]:
        project = memory(truth=True)
        advance(project, PROPAGATE, MARGIN, replace(SETTINGS, seed=seed))
        return project.asked

    assert asked(1) == asked(1) != asked(2)


def test_no_image_is_asked_twice_and_the_budget_is_kept():
    project = memory(truth=True)
    advance(project, PROPAGATE, MARGIN, replace(SETTINGS, budget=14))
    ids = [image for query in project.asked for image in query.ids]
    assert len(ids) == len(set(ids)) == 14


def test_budgets_give_the_labels_of_each_round():
    found = []

    def report(event):
        if isinstance(event, RoundFinished):
            found.append(event.labels)

    images, classes = some_images()
    exam = Exam(images, classes, "test")
    project = MemoryProject(images, 3, truth=classes, exam=exam, report=report)
    advance(project, PROPAGATE, MARGIN, replace(SETTINGS, budgets=(5, 8, 20), budget=0))
    assert found == [5, 8, 20]


def test_a_simulation_shares_its_start_between_strategies():
    def start(name: str) -> Query:
        project = memory(truth=True)
        advance(project, PROPAGATE, Choice(name), replace(SETTINGS, cold_start="random"))
        return project.asked[0]

    assert start("margin").ids == start("entropy").ids == start("random").ids
    assert start("margin").strategy == "random"


def test_a_strategy_that_needs_no_model_begins_with_itself():
    project = memory()
    row = STRATEGIES["typiclust"]
    state = advance(project, PROPAGATE, Choice("typiclust", row.settings()), replace(SETTINGS, cold_start="random"))
    assert state.query.strategy == "typiclust"


def test_a_round_warns_of_classes_without_a_label():
    notes = []
    images, classes = some_images()
    project = MemoryProject(
        images, 5, truth=classes, report=lambda e: notes.append(e.note) if isinstance(e, RoundFinished) else None
    )
    advance(project, PROPAGATE, MARGIN, replace(SETTINGS, budget=12))
    assert notes[-1] == "2 of 5 classes have no label yet"


def test_answers_from_elsewhere_start_a_round_too():
    images, classes = some_images()
    project = MemoryProject(images, 3)
    eager = replace(SETTINGS, full_query_only=False)
    state = advance(project, PROPAGATE, MARGIN, eager)
    others = [i for i in range(60) if i not in state.query.ids][:4]
    for image in others[:3]:
        project.answer(image, int(classes[image]))
    assert advance(project, PROPAGATE, MARGIN, eager).round == 0
    project.answer(others[3], int(classes[others[3]]))
    assert advance(project, PROPAGATE, MARGIN, eager).round == 1


def test_a_query_of_nothing_but_skips_is_followed_by_another_without_them():
    project = memory()
    first = advance(project, PROPAGATE, MARGIN, SETTINGS).query.ids
    for image in first:
        project.answer(image, None)
    second = advance(project, PROPAGATE, MARGIN, SETTINGS).query.ids
    assert len(second) == 4
    assert not set(first) & set(second)


def test_the_tail_follows_the_query():
    images, classes = some_images()
    project = MemoryProject(images, 3, truth=classes)
    state = advance(project, PROPAGATE, MARGIN, replace(SETTINGS, budget=12))
    asked = {image for query in project.asked[:-1] for image in query.ids}
    assert len(project.tail.ids) == 3
    assert not set(project.tail.ids) & asked
    assert state.query.ids == ()


def test_a_warm_start_begins_with_the_weights_of_the_round_before(monkeypatch):
    starts = []
    build = scratch.build

    def spy(task, settings):
        net = build(task, settings)
        starts.append(net.head.linear.weight.detach().clone())
        return net

    monkeypatch.setattr(scratch, "build", spy)
    images, classes = some_images()
    ends = []
    project = MemoryProject(
        images, 3, truth=classes,
        report=lambda e: ends.append(e.classifier.net.head.linear.weight) if isinstance(e, Predicted) else None,
    )  # fmt: skip
    warm = Choice("basic", replace(BASIC.settings, warm_start=True))
    advance(project, warm, MARGIN, replace(SETTINGS, budget=12))
    assert [torch.equal(start, end) for start, end in zip(starts[1:], ends, strict=False)] == [True, True]
    cold = MemoryProject(images, 3, truth=classes)
    advance(cold, BASIC, MARGIN, replace(SETTINGS, budget=12))
    assert torch.equal(starts[0], starts[3])
    assert not any(torch.equal(start, end) for start, end in zip(starts[4:], ends, strict=False))


def test_a_warm_start_is_the_same_when_killed_and_resumed():
    warm = Choice("basic", replace(BASIC.settings, warm_start=True))
    images, classes = some_images()
    whole = MemoryProject(images, 3, truth=classes)
    advance(whole, warm, Choice("bald"), replace(SETTINGS, budget=12))
    pieces = MemoryProject(images, 3)
    advance(pieces, warm, Choice("bald"), replace(SETTINGS, budget=12))
    person = Person(pieces, classes)
    while person.answer_one():
        advance(pieces, warm, Choice("bald"), replace(SETTINGS, budget=12))
    assert pieces.load_state() == whole.load_state()


def test_contract_the_net_before_is_there_until_its_round(project):
    warm = Choice("basic", replace(BASIC.settings, warm_start=True))
    settings = replace(SETTINGS, query_size=6, budget=0)
    truth = {i: int(project.images.take(np.array([i]))[0].mean() > 110) for i in project.images.ids.tolist()}
    state = advance(project, warm, MARGIN, settings)
    assert project.previous(1) is None
    for image in state.query.ids:
        say(project, image, truth[image])
    advance(project, warm, MARGIN, settings)
    assert project.previous(1) is None
    assert project.previous(2).kind == "conv"


def test_a_model_that_is_damaged_starts_nothing(make_instance):
    project = StoreProject(make_instance())
    test_contract_the_net_before_is_there_until_its_round(project)
    (project.instance / "rounds" / "1" / "model.json").write_text("{")
    assert project.previous(2) is None


def played(monkeypatch, seconds: float, **changed: object) -> tuple[MemoryProject, list[Ranked]]:
    """A run in which classifiers on the way are ranked after so many seconds."""
    monkeypatch.setattr(fit, "RANK_SECONDS", seconds)
    monkeypatch.setattr(fit, "RANK_SHARE", 1e9)
    found: list[Ranked] = []
    images, classes = some_images()
    project = MemoryProject(
        images, 3, truth=classes, report=lambda event: found.append(event) if isinstance(event, Ranked) else None
    )
    advance(project, BASIC, Choice("bald"), replace(SETTINGS, budget=12, **changed))
    return project, found


def test_rankings_on_the_way_leave_the_rounds_as_they_are(monkeypatch):
    project, ranked = played(monkeypatch, 0.0)
    other, none = played(monkeypatch, 1e9)
    assert ranked
    assert not none
    assert project.load_state() == other.load_state()
    assert project.asked == other.asked


def test_a_ranking_on_the_way_holds_nothing_that_was_asked_or_is_open(monkeypatch):
    project, ranked = played(monkeypatch, 0.0)
    for event in ranked:
        before = {image for query in project.asked[: event.round] for image in query.ids}
        assert len(event.query.ids) == 3
        assert not set(event.query.ids) & before


def test_without_a_tail_nothing_is_ranked_on_the_way(monkeypatch):
    assert not played(monkeypatch, 0.0, tail_size=0)[1]


def test_a_ranking_that_cannot_be_made_ends_no_round(monkeypatch):
    whole, _ = played(monkeypatch, 1e9)
    monkeypatch.setattr(loop, "candidates", ranked_fails(loop.candidates))
    project, ranked = played(monkeypatch, 0.0)
    assert not ranked
    assert project.load_state() == whole.load_state()


def ranked_fails(candidates):
    """Candidates that cannot be had while a net is on its way."""

    def fail(*arguments):
        if "_rank" in {frame.function for frame in inspect.stack()}:
            raise NotFinite("not yet")
        return candidates(*arguments)

    return fail


def test_a_store_shows_a_ranking_at_once_and_leaves_what_is_on_a_screen(make_instance):
    project = StoreProject(make_instance())
    ids = project.images.ids.tolist()
    advance(project, PROPAGATE, MARGIN, SETTINGS)
    query = project.load_state().query.ids
    free = [image for image in ids if image not in query]

    def tail() -> list[int]:
        sql = "SELECT image_id FROM queue WHERE source = 'tail' ORDER BY rank"
        return [image for (image,) in project.db.execute(sql).fetchall()]

    project.publish(Query(tuple(free[:3]), "margin"), "tail", 0)
    with store.write(project.db):
        project.db.execute(
            "UPDATE queue SET tab = 'tab', leased_until = ? WHERE image_id = ?", [project._now() + 60, free[0]]
        )
    project.report(RoundStarted(1, 4))
    project.report(Ranked(1, Query(tuple(free[5:8]), "margin")))
    assert set(tail()) == {free[0], *free[5:8]}
    assert project.load_state().query.ids == query
    project.publish(Query(tuple(free[9:11]), "margin"), "tail", 1)  # the round's own waits for its end
    assert set(tail()) == {free[0], *free[5:8]}


def test_labels_at_hand_make_the_first_round_due_at_once():
    images, classes = some_images()
    project = MemoryProject(images, 3)
    for image in range(6):
        project.answer(image, int(classes[image]))
    state = advance(project, PROPAGATE, MARGIN, SETTINGS)
    assert (state.round, state.cursor) == (1, 6)


def test_a_network_plays_the_same_rounds_when_killed_and_resumed():
    basic = Choice("basic", BasicSettings(depth=10, width=1, steps=8, batch_size=8, mc_samples=3))
    images, classes = some_images()
    settings = replace(SETTINGS, budget=8)
    whole = MemoryProject(images, 3, truth=classes)
    advance(whole, basic, Choice("bald"), settings)
    pieces = MemoryProject(images, 3)
    advance(pieces, basic, Choice("bald"), settings)
    person = Person(pieces, classes)
    while person.answer_one():
        advance(pieces, basic, Choice("bald"), settings)
    assert pieces.load_state() == whole.load_state()


@pytest.fixture(params=["memory", "store"])
def project(request, make_instance) -> Project:
    """One of each kind, with no answers yet."""
    if request.param == "store":
        return StoreProject(make_instance())
    images, _ = some_images(40)
    return MemoryProject(images, 2)


def say(project: Project, image: int, label: int | None) -> None:
    """A person answers, whatever the project is."""
    if isinstance(project, MemoryProject):
        project.answer(image, label)
        return
    with store.write(project.db):
        person = project_store.person_id(project.db, "ann")
        class_id = None if label is None else project_store.classes(project.db)[label]["id"]
        kind = "skip" if label is None else "label"
        number = labels.cursor(project.db)
        labels.add(project.db, labels.Answer(f"u{number}", image, kind, person, class_id), "tab", 0.0)


def test_contract_news_is_what_changed_since_the_cursor(project):
    first, second, third = project.images.ids[:3].tolist()
    say(project, first, 0)
    cursor = project.news(0).cursor
    say(project, second, 1)
    say(project, third, None)
    news = project.news(cursor)
    assert (news.labels, news.withheld, news.changed) == ({second: 1}, frozenset({third}), 2)
    assert project.news(0).labels == {first: 0, second: 1}
    assert project.news(news.cursor).changed == 0


def test_contract_a_correction_is_news_and_the_latest_counts(project):
    image = int(project.images.ids[0])
    say(project, image, 0)
    cursor = project.news(0).cursor
    say(project, image, 1)
    assert project.news(cursor).labels == {image: 1}
    assert project.news(0).changed == 1


def test_contract_a_state_comes_back_as_it_was_saved(project):
    assert project.load_state() is None
    state = LoopState(7, 3, 12, Query((4, 2), "margin", (0.5, 0.25), None))
    project.save_state(state)
    assert project.load_state() == state


def test_contract_images_keep_their_ids_and_pixels(project):
    ids = project.images.ids
    assert (np.diff(ids) > 0).all()
    assert project.images.take(ids[[3, 1]]).shape == (2, 8, 8, 3)
    assert project.images is project.images


def test_contract_a_person_is_led_through_a_whole_round(project):
    settings = replace(SETTINGS, query_size=6, budget=0)
    truth = {i: int(project.images.take(np.array([i]))[0].mean() > 110) for i in project.images.ids.tolist()}
    state = advance(project, PROPAGATE, MARGIN, settings)
    for image in state.query.ids:
        say(project, image, truth[image])
    state = advance(project, PROPAGATE, MARGIN, settings)
    assert (state.round, state.cursor, len(state.query.ids)) == (1, 6, 6)


def test_a_store_keeps_the_model_and_predictions_of_the_round(make_instance):
    project = StoreProject(make_instance())
    test_contract_a_person_is_led_through_a_whole_round(project)
    folder: Path = project.instance / "rounds" / "1"
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "model.safetensors", "predictions.db"]
    (row,) = project.db.query("SELECT number, labels, strategy, folder FROM rounds")
    assert row == {"number": 1, "labels": 6, "strategy": "margin", "folder": "rounds/1"}


def test_looking_again_does_not_disturb_what_is_on_a_screen(make_instance):
    project = StoreProject(make_instance())
    advance(project, PROPAGATE, MARGIN, SETTINGS)
    before = project_store.counter(project.db, "ranking")
    advance(project, PROPAGATE, MARGIN, SETTINGS)
    assert project_store.counter(project.db, "ranking") == before == 1
