"""What every strategy has to beat, and what random would be if it knew the classes."""

import numpy as np

from learner.acquisition.candidates import Candidates, Picks
from learner.data import IntArray
from learner.settings import NoSettings


def select_random(candidates: Candidates, size: int, rng: np.random.Generator, settings: NoSettings) -> Picks:
    """Uniform without replacement; every image of the pool is selected with probability size / N."""
    ids = candidates.pool.ids
    size = min(size, len(ids))
    chosen = rng.choice(ids, size=size, replace=False)
    return Picks(chosen, probabilities=np.full(size, size / max(len(ids), 1)))


def select_stratified(candidates: Candidates, size: int, rng: np.random.Generator, settings: NoSettings) -> Picks:
    """At random, so that all classes come to have as many labels as each other, or all that they have.

    An oracle: it looks at the true class of every image. Probabilities are given how many each class gets.
    """
    ids = rng.permutation(candidates.pool.ids)
    classes = candidates.true_classes(ids)
    there = np.bincount(candidates.true_classes(candidates.labeled.ids), minlength=candidates.num_classes)
    order = np.lexsort((rng.permutation(candidates.num_classes)[classes], there[classes] + _ranks(classes)))[:size]
    asked, whole = (np.bincount(found, minlength=candidates.num_classes) for found in (classes[order], classes))
    return Picks(ids[order], probabilities=asked[classes[order]] / whole[classes[order]])


def _ranks(classes: IntArray) -> IntArray:
    """(N,) -> (N,): how many of the same class stand before each."""
    order = np.argsort(classes, kind="stable")
    counts = np.bincount(classes)
    ranks = np.empty(len(classes), np.int64)
    ranks[order] = np.arange(len(classes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks
