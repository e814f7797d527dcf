"""The loop. People and simulation take the same path: there is no `if simulation`.

A project hands out what people said, and takes rankings and progress; everything else happens here.
"""

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from learner.acquisition import STRATEGIES, needs_no_model
from learner.acquisition.asking import Rules, choose
from learner.acquisition.auto import advise
from learner.acquisition.candidates import Candidates, Picks, Side
from learner.config import Choice, LoopSettings, as_dict
from learner.data import Exam, ImageSet, IntArray, id_array
from learner.device import memory_named
from learner.doubts import STRATEGY as DOUBTS
from learner.doubts import doubted
from learner.errors import LearnerError, NotFinite
from learner.evaluate import Evaluation, evaluate
from learner.events import Event, Predicted, Progress, Ranked, RoundFinished, RoundStarted
from learner.features import Features, embed, named, parse
from learner.predict import Predictions
from learner.registry import lookup
from learner.rng import stream
from learner.training import METHODS, Classifier, Task

PENULTIMATE = "penultimate"  # the setting `features`: strategies see what the current model sees


@dataclass(frozen=True)
class News:
    """What people said, up to a cursor."""

    cursor: int
    labels: dict[int, int]  # image id -> class index; these train
    withheld: frozenset[int]  # answered without a class: skipped, unsure, flagged, in conflict
    changed: int  # images whose answer changed, undone ones included
    idle: float = 0.0  # seconds since the newest answer
    classes: int = 0  # another number after each change of the classes

    @property
    def answered(self) -> set[int]:
        return self.labels.keys() | self.withheld


@dataclass(frozen=True)
class Query:
    """The images asked in one round, with why; JSON-friendly."""

    ids: tuple[int, ...] = ()
    strategy: str = ""
    scores: tuple[float, ...] | None = None
    probabilities: tuple[float, ...] | None = None
    note: str = ""  # how they were found, where there is something to say

    @classmethod
    def of(cls, picks: Picks, strategy: str) -> "Query":
        def plain(values: Any) -> tuple[float, ...] | None:
            return None if values is None else tuple(values.tolist())

        return cls(tuple(picks.ids.tolist()), strategy, plain(picks.scores), plain(picks.probabilities), picks.note)


@dataclass(frozen=True)
class LoopState:
    """Where the loop stands. No labels: the project's answers are the only truth."""

    seed: int
    round: int = 0  # of the open query; 0: the cold start
    cursor: int = 0  # answers up to here are used
    query: Query = Query()
    classes: int = 0  # as in the news of this round


class Project(Protocol):
    """The learner's view of a project."""

    @property
    def images(self) -> ImageSet:
        """What may be asked and learned from: everything but the audit and what was set aside."""

    @property
    def num_classes(self) -> int: ...

    @property
    def folder(self) -> Path | None:
        """For what outlives a killed round, or None: nothing does."""

    def previous(self, round: int) -> Any:
        """The net of the newest model of the rounds before this one, or None."""

    def news(self, cursor: int) -> News:
        """Current answers of the images that changed since the cursor, and the new cursor; 0: all."""

    def exam(self) -> Exam | None:
        """Images with known classes that never train, or None while there are none."""

    def doubtable(self) -> frozenset[int]:
        """Images whose labels may be asked a second time; none: nobody judges labels."""

    def truth(self, ids: IntArray) -> IntArray:
        """(n,) -> (n,) the classes of images that nobody was asked about. LearnerError outside of simulations."""

    def load_state(self) -> LoopState | None: ...

    def save_state(self, state: LoopState) -> None:
        """Atomic, together with whatever else the round leaves: its row, its tail."""

    def publish(self, query: Query, source: str, round: int) -> None:
        """Put images into the queue. Source is query, tail, audit or second_look. Idempotent."""

    def report(self, event: Event) -> None:
        """Progress out; raises Cancelled when somebody asked to stop."""


@dataclass(frozen=True, eq=False)
class _Round:
    """What one round works on: a snapshot, because answers and images go on arriving meanwhile."""

    project: Project
    method: Choice
    strategy: Choice
    settings: LoopSettings
    state: LoopState  # with the number and the cursor of this round
    images: ImageSet
    news: News  # everything up to the cursor
    why: str = ""  # this strategy, where that was chosen

    @property
    def needs(self) -> frozenset[str]:
        """What the strategy and the rules use, at any time of the round."""
        needs = lookup("strategy", STRATEGIES, self.strategy.name).needs | self.rules.needs
        return needs | {"penultimate"} if "embedding" in needs and self.settings.features == PENULTIMATE else needs

    @property
    def rules(self) -> Rules:
        return Rules(self.settings.duplicates, self.settings.class_quota)

    def advised(self) -> "_Round":
        """With the strategy that `auto` stands for now."""
        if self.strategy.name != "auto":
            return self
        name, why = advise(len(self.labels), self.project.num_classes, self.method.name)
        return replace(self, strategy=Choice(name, STRATEGIES[name].settings()), why=f"{name}: {why}")

    @property
    def labels(self) -> dict[int, int]:
        """The labels that train: those of images that are still there."""
        known = set(self.images.ids.tolist())
        return {image: label for image, label in self.news.labels.items() if image in known}


@memory_named()
def advance(project: Project, method: Choice, strategy: Choice, settings: LoopSettings) -> LoopState:
    """Take the news; if a round is due, train, predict, select, publish. Run until nothing is due.

    Killed at any point and called again, it ends where it would have ended: a round depends on nothing
    but the answers, the seed and its number. Raises LearnerError when a round must be given up, which
    leaves the open query and the ranking as they were, and Cancelled when `project.report` does.
    """
    state = project.load_state()
    if state is None:
        state = _open(project, method, strategy, settings)
    project.publish(state.query, "query", state.round)
    while _is_due(project, state, settings):
        news = project.news(0)
        state = replace(state, round=state.round + 1, cursor=news.cursor, classes=news.classes)
        state = _play(_Round(project, method, strategy, settings, state, project.images, news).advised())
        project.publish(state.query, "query", state.round)
    return state


def _open(project: Project, method: Choice, strategy: Choice, settings: LoopSettings) -> LoopState:
    """The first state. With labels of two classes at hand the first round is due at once, else ask a cold start."""
    news = project.news(0)
    state = LoopState(seed=settings.seed, classes=news.classes)
    if not _can_train(news):
        state = replace(state, cursor=news.cursor)
        query = _cold_query(_Round(project, method, strategy, settings, state, project.images, news))
        state = replace(state, query=query)
    project.save_state(state)
    return state


def _can_train(news: News) -> bool:
    return len(set(news.labels.values())) >= 2


def _is_due(project: Project, state: LoopState, settings: LoopSettings) -> bool:
    """Is the query answered, or enough news from anywhere, or nobody there to wait for? Or are the classes others?"""
    news = project.news(state.cursor)
    if news.classes != state.classes and state.round and _can_train(project.news(0)):
        return True
    if not news.changed:
        return False
    remaining = set(state.query.ids) - news.answered
    if not remaining & set(project.images.ids.tolist()):
        return True
    if settings.full_query_only:
        return False
    enough = settings.new_labels or settings.query_size
    return news.changed >= enough or 0 < settings.pause <= news.idle


def _play(round: _Round) -> LoopState:
    """One round, from the answers to the next query."""
    project, number, labels = round.project, round.state.round, round.labels
    if not _can_train(round.news):
        state = replace(round.state, query=_cold_query(round))
        project.save_state(state)
        return state
    project.report(RoundStarted(number, len(labels)))
    times = [time.perf_counter()]
    classifier = _train(round)
    times.append(time.perf_counter())
    predictions, evaluation = _predict(round, classifier)
    times.append(time.perf_counter())
    state = replace(round.state, query=_select(round, classifier, predictions))
    _doubt(round)
    times.append(time.perf_counter())
    per_class = np.bincount(list(labels.values()), minlength=project.num_classes)
    project.report(
        RoundFinished(
            number,
            getattr(classifier, "method", round.method.name),
            round.strategy.name,
            len(labels),
            tuple(per_class.tolist()),
            evaluation,
            times[1] - times[0],
            times[2] - times[1],
            times[3] - times[2],
            _settings(round),
            "; ".join(filter(None, (getattr(classifier, "note", ""), round.why, state.query.note, _unseen(per_class)))),
        )
    )
    project.save_state(state)
    return state


def _unseen(per_class: IntArray) -> str:
    """A warning where the model cannot know all classes yet."""
    number = int((per_class == 0).sum())
    return f"{number} of {len(per_class)} classes have no label yet" if number else ""


def _settings(round: _Round) -> dict[str, Any]:
    choices = {"method": round.method.settings, "strategy": round.strategy.settings, "loop": round.settings}
    return {name: as_dict(settings) for name, settings in choices.items()}


def _train(round: _Round) -> Classifier:
    state, project = round.state, round.project
    task = Task(
        round.images, round.labels, project.num_classes, state.seed, state.round, round.needs, project.report,
        _audit(project), partial(_rank, round), partial(project.previous, state.round), project.folder,
    )  # fmt: skip
    classifier: Classifier = lookup("method", METHODS, round.method.name).load()(task, round.method.settings)
    return classifier


def _audit(project: Project) -> Exam | None:
    """What a method may choose by: never a test set."""
    exam = project.exam()
    return exam if exam is not None and exam.source == "audit" else None


def _rank(round: _Round, classifier: Classifier) -> None:
    """Refill the queue by a classifier on the way. Changes nothing of what the round leaves, and never ends it."""
    state, size = round.state, round.settings.tail_size
    if not size:
        return
    rng = stream(state.seed, state.round, "ranked")
    try:
        predictions = classifier.predict(round.images, round.needs - {"samples"}, rng, round.project.report)
        _require_finite(predictions)
        candidates = _candidates(round, classifier, predictions).asked(id_array(state.query.ids))
        round.project.report(Ranked(state.round, _ask(round, candidates, size, rng)))
    except LearnerError:
        pass  # it was one ranking more; the round says what is wrong, if it lasts


def _predict(round: _Round, classifier: Classifier) -> tuple[Predictions, Evaluation | None]:
    """What the new model says of every image, and how right it is on the exam."""
    report, number = round.project.report, round.state.round
    masks = stream(round.state.seed, number, "masks")
    predictions = classifier.predict(round.images, round.needs - {"samples"}, masks, report)
    _require_finite(predictions)
    report(Predicted(number, classifier, predictions))
    exam = round.project.exam()
    if exam is None:
        return predictions, None
    answers = classifier.predict(exam.images, frozenset(), masks, report)
    return predictions, evaluate(answers.probs, exam.classes, exam.source)


def _require_finite(predictions: Predictions) -> None:
    """NotFinite for a model that is broken: nothing of it may be stored, and nothing ranked by it."""
    broken = int((~predictions.probs.isfinite()).any(dim=1).sum())
    if broken:
        raise NotFinite(
            f"the model's probabilities of {broken} of {len(predictions.probs)} images are not finite numbers; "
            "set a smaller learning_rate"
        )


def _select(round: _Round, classifier: Classifier, predictions: Predictions) -> Query:
    """The next query; publishes the tail of the ranking on the way."""
    state, report = round.state, round.project.report
    report(Progress("choosing", 0, 1))
    candidates = _candidates(round, classifier, predictions)
    query = _ask(round, candidates, _query_size(round), stream(state.seed, state.round, "select"))
    if query.ids and round.settings.tail_size:
        rest = candidates.asked(id_array(query.ids))
        tail = _ask(round, rest, round.settings.tail_size, stream(state.seed, state.round, "tail"))
        round.project.publish(tail, "tail", state.round)
    report(Progress("choosing", 1, 1))
    return query


def _doubt(round: _Round) -> None:
    """Publish the labels that are probably wrong, of those that may be asked a second time. Never ends the round."""
    open_to_doubt = round.project.doubtable() & round.labels.keys()
    if not open_to_doubt:
        return
    try:
        query = _doubted(round, open_to_doubt)
    except LearnerError:
        return  # no features to judge by: the labels stay as they are
    round.project.publish(query, "second_look", round.state.round)


def _doubted(round: _Round, allowed: frozenset[int]) -> Query:
    """As many of these images as a query has at most, the most doubtful labels first."""
    project, labels, state = round.project, round.labels, round.state
    text = "" if round.settings.features == PENULTIMATE else round.settings.features  # that net trained on the labels
    features = strategy_features(text, round.method, round.images, "auto")
    ids = id_array(sorted(labels))
    seen = torch.from_numpy(embed(round.images, features, project.report)[round.images.positions(ids)])
    classes = id_array(labels[image] for image in ids.tolist())
    rng = stream(state.seed, state.round, "doubts")
    labeled = Side(ids, embedding=seen, classes=classes)
    return Query.of(doubted(labeled, project.num_classes, allowed, round.settings.query_size, rng), DOUBTS)


def _cold_query(round: _Round) -> Query:
    """A query of a strategy that needs no model: the strategy itself where it can, else settings.cold_start."""
    state, round = round.state, round.advised()
    if not needs_no_model(round.strategy.name):
        row = lookup("strategy", STRATEGIES, round.settings.cold_start)
        round = replace(round, strategy=Choice(round.settings.cold_start, row.settings())).advised()
    rng = stream(state.seed, state.round, "start")
    return _ask(round, _candidates(round), _query_size(round), rng)


def _query_size(round: _Round) -> int:
    """How many to ask next; 0 when the budget is spent."""
    settings, number, labels = round.settings, round.state.round, len(round.news.labels)
    if settings.budgets:
        return max(0, settings.budgets[number] - labels) if number < len(settings.budgets) else 0
    size = settings.start_size if number == 0 and settings.start_size else settings.query_size
    return min(size, max(0, settings.budget - labels)) if settings.budget else size


def _ask(round: _Round, candidates: Candidates, size: int, rng: np.random.Generator) -> Query:
    strategy = round.strategy
    if size == 0 or not len(candidates.pool.ids):
        return Query(strategy=strategy.name)
    select = lookup("strategy", STRATEGIES, strategy.name).load()
    return Query.of(choose(select, candidates, size, rng, strategy, round.rules), strategy.name)


def _candidates(
    round: _Round, classifier: Classifier | None = None, predictions: Predictions | None = None
) -> Candidates:
    """The pool and the labeled side, with exactly what the strategy needs."""
    images, news = round.images, round.news
    everything = _side(images.ids, predictions, _embedding(round, predictions))
    labeled = np.isin(images.ids, id_array(news.labels))
    classes = np.array([news.labels[i] for i in images.ids[labeled].tolist()], np.int64)
    pool = everything.only(~np.isin(images.ids, id_array(news.answered)))
    known = replace(everything.only(labeled), classes=classes)
    head, sample = None, None
    if predictions is not None and predictions.weight is not None and predictions.bias is not None:
        head = predictions.weight, predictions.bias
    if classifier is not None and "samples" in round.needs:
        sample = partial(_sample, round, classifier)
    truth = round.project.truth if "truth" in round.needs else None
    return Candidates(pool, known, round.project.num_classes, head, sample, round.method.name, truth)


def _sample(round: _Round, classifier: Classifier, ids: IntArray) -> Tensor:
    """(n,) ids -> (n, T, C): the stochastic predictions whose moments were streamed over all images."""
    images = round.images.only(ids)
    masks = stream(round.state.seed, round.state.round, "masks")
    found = classifier.predict(images, frozenset({"mc", "samples"}), masks, round.project.report).samples
    if found is None:
        raise LearnerError(f"{round.method.name} gives no samples; choose another strategy than {round.strategy.name}")
    return found[torch.from_numpy(images.positions(ids))]


def _embedding(round: _Round, predictions: Predictions | None) -> Tensor | None:
    """(N, D) what strategies see of an image: the setting's, else what the method sees, else pca."""
    if "embedding" not in round.needs:
        return None
    text = round.settings.features
    if text == PENULTIMATE:
        if predictions is not None:
            return predictions.penultimate
        text = ""
    features = strategy_features(text, round.method, round.images)
    return torch.from_numpy(embed(round.images, features, round.project.report))


def strategy_features(text: str, method: Choice, images: ImageSet, otherwise: str = "pca") -> Features:
    """The features of this text; for an empty one those of the method, else `otherwise`."""
    seen = as_dict(method.settings)
    more = {name: seen[name] for name in ("components", "weights") if name in seen}
    return parse(named(text or seen.get("features", otherwise), images), **more)


def _side(ids: IntArray, predictions: Predictions | None, embedding: Tensor | None) -> Side:
    if predictions is None:
        return Side(ids, embedding=embedding)
    quantities = ("probs", "mean_probs", "expected_entropy", "votes", "std", "penultimate")
    return Side(ids, embedding=embedding, **{name: getattr(predictions, name) for name in quantities})
