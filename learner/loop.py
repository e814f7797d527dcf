"""The loop. People and simulation take the same path: there is no `if simulation`.

A project hands out what people said, and takes rankings and progress; everything else happens here.
"""

import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from learner.config import LoopSettings
from learner.data import Exam, IntArray, id_array
from learner.device import memory_named
from learner.errors import LearnerError, NotFinite
from learner.evaluate import Evaluation, evaluate
from learner.events import Predicted, Ranked, RoundFinished, RoundStarted
from learner.predict import Predictions
from learner.project import LoopState, News, Project
from learner.questions import Round, ask, candidates, cold_query, doubt, select
from learner.registry import lookup
from learner.rng import stream
from learner.settings import Choice, as_dict
from learner.training import METHODS, Classifier, Task


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
        state = _play(Round(project, method, strategy, settings, state, project.images, news))
        project.publish(state.query, "query", state.round)
    return state


def _open(project: Project, method: Choice, strategy: Choice, settings: LoopSettings) -> LoopState:
    """The first state. With labels of two classes at hand the first round is due at once, else ask a cold start."""
    news = project.news(0)
    state = LoopState(seed=settings.seed, classes=news.classes)
    if not _can_train(news):
        state = replace(state, cursor=news.cursor)
        query = cold_query(Round(project, method, strategy, settings, state, project.images, news))
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


def _play(round: Round) -> LoopState:
    """One round, from the answers to the next query."""
    project, number, labels = round.project, round.state.round, round.labels
    if not _can_train(round.news):
        state = replace(round.state, query=cold_query(round))
        project.save_state(state)
        return state
    project.report(RoundStarted(number, len(labels)))
    times = [time.perf_counter()]
    classifier = _train(round.advised())
    method = getattr(classifier, "method", round.method.name)
    round = round.advised(method)  # what suits the method that won
    times.append(time.perf_counter())
    predictions, evaluation = _predict(round, classifier)
    times.append(time.perf_counter())
    state = replace(round.state, query=select(round, classifier, predictions))
    doubt(round)
    times.append(time.perf_counter())
    notes = (getattr(classifier, "note", ""), _began(round), state.query.note)
    per_class = np.bincount(list(labels.values()), minlength=project.num_classes)
    project.report(
        RoundFinished(
            number,
            method,
            round.strategy.name,
            len(labels),
            tuple(per_class.tolist()),
            evaluation,
            times[1] - times[0],
            times[2] - times[1],
            times[3] - times[2],
            _settings(round),
            "; ".join(filter(None, (*notes, _unseen(per_class)))),
        )
    )
    project.save_state(state)
    return state


def _began(round: Round) -> str:
    """How the labels of the first round were chosen, which no earlier round can tell."""
    note = round.state.query.note if round.state.round == 1 else ""
    return f"begun by {note}" if note else ""


def _unseen(per_class: IntArray) -> str:
    """A warning where the model cannot know all classes yet."""
    number = int((per_class == 0).sum())
    return f"{number} of {len(per_class)} classes have no label yet" if number else ""


def _settings(round: Round) -> dict[str, Any]:
    choices = {"method": round.method.settings, "strategy": round.strategy.settings, "loop": round.settings}
    return {name: as_dict(settings) for name, settings in choices.items()}


def _train(round: Round) -> Classifier:
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


def _rank(round: Round, classifier: Classifier) -> None:
    """Refill the queue by a classifier on the way. Changes nothing of what the round leaves, and never ends it."""
    state, size = round.state, round.settings.tail_size
    if not size:
        return
    rng = stream(state.seed, state.round, "ranked")
    try:
        predictions = classifier.predict(round.images, round.needs - {"samples"}, rng, round.project.report)
        _require_finite(predictions)
        rest = candidates(round, classifier, predictions).asked(id_array(state.query.ids))
        round.project.report(Ranked(state.round, ask(round, rest, size, rng)))
    except LearnerError:
        pass  # it was one ranking more; the round says what is wrong, if it lasts


def _predict(round: Round, classifier: Classifier) -> tuple[Predictions, Evaluation | None]:
    """What the new model says of every image, and how right it is on the exam."""
    report, number = round.project.report, round.state.round
    masks = stream(round.state.seed, number, "masks")
    needs: frozenset[str] = round.needs - {"samples"} if round.query_size else frozenset()  # the last asks nothing
    predictions = classifier.predict(round.images, needs, masks, report)
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
