"""Labels that are probably wrong: confident learning on probabilities that a label has no part in itself.

A model has learned the errors of its own labels, and would find few of them. Here each label is judged by those of the
labeled images that look most like it, never by itself: nothing is trained, and it works beside every method.
"""

from collections.abc import Collection

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learner.acquisition.candidates import Picks, Side
from learner.data import IntArray, id_array

STRATEGY = "confident_learning"  # its name with each image that is asked
NEIGHBORS = 10
SHARPNESS = 2.0  # how much faster than by e a vote falls over the mean squared distance
LEAST_AGREEMENT = 0.5  # of labels and neighbours; below, these know less than people do
MOST = 10_000  # labels judged in one round, drawn at random: some 10 s where there are 100,000
CHUNK = 1024  # rows compared at once


def doubted(labeled: Side, num_classes: int, allowed: Collection[int], size: int, rng: np.random.Generator) -> Picks:
    """Up to `size` of the allowed images whose labels are most likely wrong, the likeliest first.

    None where neighbours agree with fewer than half of the labels.
    """
    rows = np.sort(rng.permutation(len(labeled.ids))[:MOST])
    classes = labeled.classes[rows]
    probs = leave_one_out(labeled.finite("embedding"), labeled.classes, num_classes, rows)  # (m, C)
    found, scores = suspicious(probs, classes)
    kept = np.isin(labeled.ids[rows[found]], id_array(allowed))
    if (probs.argmax(axis=1) == classes).mean() < LEAST_AGREEMENT:
        kept[:] = False
    return Picks(labeled.ids[rows[found[kept]]][:size], scores[kept][:size])


def leave_one_out(embedding: Tensor, classes: IntArray, num_classes: int, rows: IntArray) -> NDArray[np.float64]:
    """(m, C): what the nearest of (n, D) say of these rows of it; the nearer, the more their labels (n,) count.

    Neighbours find noisy labels as well as trained models do: Bahri, Jiang & Gupta 2020. The same for all classes
    where there is no other image.
    """
    count = min(NEIGHBORS, len(embedding) - 1)
    probs = np.full((len(rows), num_classes), 1 / num_classes)
    for start in range(0, len(rows) if count > 0 else 0, CHUNK):
        part = torch.from_numpy(rows[start : start + CHUNK])
        squares = torch.cdist(embedding[part], embedding).square()  # (k, n)
        squares[torch.arange(len(part)), part] = torch.inf  # a label is no witness of itself
        nearest, which = squares.topk(count, largest=False)
        votes = torch.exp(-SHARPNESS * nearest / nearest.mean().clamp(min=1e-12)).double() + 1e-9
        said = torch.zeros(len(part), num_classes, dtype=torch.float64)
        said.scatter_add_(1, torch.from_numpy(classes)[which], votes)
        probs[start : start + CHUNK] = said / said.sum(dim=1, keepdim=True)
    return probs


def suspicious(probs: NDArray[np.float64], classes: IntArray) -> tuple[IntArray, NDArray[np.float64]]:
    """Positions of the labels (n,) that out-of-sample probabilities (n, C) contradict, worst first, and how much.

    The threshold of a class is the mean probability of it among the images labeled with it. A label is suspicious when
    of the classes at or above their thresholds another one is the likeliest, and likelier than the label itself. The
    score is half of one plus that distance: above 0.5 and up to 1, the complement of the normalized margin. Confident
    learning: Northcutt, Jiang & Chuang 2021 (JAIR 70).
    """
    everyone = np.arange(len(classes))
    own = probs[everyone, classes]
    confident = np.where(probs >= thresholds(probs, classes), probs, -1.0)
    best = confident.argmax(axis=1)
    found = np.flatnonzero((best != classes) & (confident[everyone, best] > own))
    scores = (1 + probs[found, best[found]] - own[found]) / 2
    order = np.argsort(-scores, kind="stable")
    return found[order], scores[order]


def thresholds(probs: NDArray[np.float64], classes: IntArray) -> NDArray[np.float64]:
    """(C,) the mean probability of each class among its labels; infinite for one without labels."""
    own = probs[np.arange(len(classes)), classes]
    totals = np.bincount(classes, weights=own, minlength=probs.shape[1])
    counts = np.bincount(classes, minlength=probs.shape[1])
    found: NDArray[np.float64] = np.full(probs.shape[1], np.inf)
    return np.divide(totals, counts, out=found, where=counts > 0)
