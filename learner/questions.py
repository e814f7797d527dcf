"""The questions of one round: what a strategy gets to see, and what is asked. Trains nothing."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from learner.acquisition import STRATEGIES, needs_no_model
from learner.acquisition.asking import Rules, choose
from learner.acquisition.auto import advise
from learner.acquisition.candidates import Candidates, Side
from learner.config import LoopSettings
from learner.data import ImageSet, IntArray, id_array
from learner.doubts import STRATEGY as DOUBTS
from learner.doubts import doubted
from learner.errors import LearnerError
from learner.events import Progress
from learner.features import Features, embed, named, parse
from learner.predict import Predictions
from learner.project import LoopState, News, Project, Query
from learner.registry import lookup
from learner.rng import stream
from learner.settings import Choice, as_dict
from learner.training import Classifier

PENULTIMATE = "penultimate"  # the setting `features`: strategies see what the current model sees


@dataclass(frozen=True, eq=False)
class Round:
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
    def query_size(self) -> int:
        """How many to ask next; 0 when the budget is spent."""
        settings, number, labels = self.settings, self.state.round, len(self.news.labels)
        if settings.budgets:
            return max(0, settings.budgets[number] - labels) if number < len(settings.budgets) else 0
        size = settings.start_size if number == 0 and settings.start_size else settings.query_size
        return min(size, max(0, settings.budget - labels)) if settings.budget else size

    @property
    def rules(self) -> Rules:
        return Rules(self.settings.duplicates, self.settings.class_quota)

    def advised(self, method: str = "") -> "Round":
        """With the strategy that `auto` stands for now, with this method, else with the round's."""
        if self.strategy.name != "auto":
            return self
        name, why = advise(len(self.labels), self.project.num_classes, method or self.method.name)
        return replace(self, strategy=Choice(name, STRATEGIES[name].settings()), why=why)

    @property
    def labels(self) -> dict[int, int]:
        """The labels that train: those of images that are still there."""
        known = set(self.images.ids.tolist())
        return {image: label for image, label in self.news.labels.items() if image in known}


def select(round: Round, classifier: Classifier, predictions: Predictions) -> Query:
    """The next query; publishes the tail of the ranking on the way."""
    state, report = round.state, round.project.report
    if not round.query_size:
        return Query(strategy=round.strategy.name)
    report(Progress("choosing", 0, 1))
    seen = candidates(round, classifier, predictions)
    query = ask(round, seen, round.query_size, stream(state.seed, state.round, "select"))
    if query.ids and round.settings.tail_size:
        rest = seen.asked(id_array(query.ids))
        tail = ask(round, rest, round.settings.tail_size, stream(state.seed, state.round, "tail"))
        # How far people get is up to them: no probability is known of what follows a query.
        round.project.publish(replace(tail, probabilities=None), "tail", state.round)
    report(Progress("choosing", 1, 1))
    return query


def doubt(round: Round) -> None:
    """Publish the labels that are probably wrong, of those that may be asked a second time. Never ends the round."""
    open_to_doubt = round.project.doubtable() & round.labels.keys()
    if not open_to_doubt:
        return
    try:
        query = _doubted(round, open_to_doubt)
    except LearnerError:
        return  # no features to judge by: the labels stay as they are
    round.project.publish(query, "second_look", round.state.round)


def _doubted(round: Round, allowed: frozenset[int]) -> Query:
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


def cold_query(round: Round) -> Query:
    """A query of a strategy that needs no model: the strategy itself where it can, else settings.cold_start."""
    state, round = round.state, round.advised()
    if not needs_no_model(round.strategy.name):
        row = lookup("strategy", STRATEGIES, round.settings.cold_start)
        round = replace(round, strategy=Choice(round.settings.cold_start, row.settings()), why="").advised()
    rng = stream(state.seed, state.round, "start")
    return ask(round, candidates(round), round.query_size, rng)


def ask(round: Round, pool: Candidates, size: int, rng: np.random.Generator) -> Query:
    strategy = round.strategy
    if size == 0 or not len(pool.pool.ids):
        return Query(strategy=strategy.name)
    chooser = lookup("strategy", STRATEGIES, strategy.name).load()
    picks = choose(chooser, pool, size, rng, strategy, round.rules)
    return Query.of(replace(picks, note="; ".join(filter(None, (round.why, picks.note)))), strategy.name)


def candidates(
    round: Round, classifier: Classifier | None = None, predictions: Predictions | None = None
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


def _sample(round: Round, classifier: Classifier, ids: IntArray) -> Tensor:
    """(n,) ids -> (n, T, C): the stochastic predictions whose moments were streamed over all images."""
    images = round.images.only(ids)
    masks = stream(round.state.seed, round.state.round, "masks")
    found = classifier.predict(images, frozenset({"mc", "samples"}), masks, round.project.report).samples
    if found is None:
        raise LearnerError(f"{round.method.name} gives no samples; choose another strategy than {round.strategy.name}")
    return found[torch.from_numpy(images.positions(ids))]


def _embedding(round: Round, predictions: Predictions | None) -> Tensor | None:
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
