"""Uncertainty decides which images count, clusters decide which of them are asked."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import dropout, linear

from learner.acquisition.candidates import Candidates, Picks
from learner.acquisition.clustering import Rows, Scores, cluster, nearest_to_centroids, pick_in_turn
from learner.acquisition.settings import ClueSettings, DropquerySettings
from learner.acquisition.uncertainty import entropy
from learner.device import seeded
from learner.errors import LearnerError


def select_clue(candidates: Candidates, size: int, rng: np.random.Generator, settings: ClueSettings) -> Picks:
    """k-means over penultimate features weighted by entropy, the image nearest to each centroid. Prabhu et al. 2021.

    Scores are minus the distance to the centroid.
    """
    pool = candidates.pool
    probs = pool.finite("probs").double()
    x = pool.finite("penultimate").numpy()
    sharpened = (probs.clamp(min=1e-300).log() / settings.temperature).softmax(dim=1)
    weights = entropy(sharpened).clamp(min=1e-12).numpy()  # where all are certain, all weigh the same
    return _nearest(candidates, np.arange(len(x)), x, weights, size, rng, settings.starts)


def select_dropquery(candidates: Candidates, size: int, rng: np.random.Generator, settings: DropquerySettings) -> Picks:
    """Images whose prediction changes most often when features are dropped; of them k-means centers. Gupte et al. 2024.

    An image counts where more than half of the predictions change; where these are fewer than `candidates` for each one
    asked, fewer changes suffice. Scores are minus the distance to the centroid.
    """
    pool = candidates.pool
    x = pool.finite("penultimate")
    if candidates.head is None:
        raise LearnerError("dropquery uses the head but its row in STRATEGIES does not need it; add it there")
    pool.finite("probs")
    changes = changed(x, *candidates.head, settings.dropout, settings.samples, rng).numpy()
    enough = min(len(x), settings.candidates * size)
    needed = settings.samples // 2 + 1
    while needed and (changes >= needed).sum() < enough:
        needed -= 1
    rows = np.flatnonzero(changes >= needed)
    return _nearest(candidates, rows, x.numpy()[rows], None, size, rng, settings.starts)


def changed(
    features: Tensor, weight: Tensor, bias: Tensor, share: float, samples: int, rng: np.random.Generator
) -> Tensor:
    """(N, H), (C, H), (C,) -> (N,): how many of the predictions differ from that of all features."""
    weight, bias = weight.to("cpu"), bias.to("cpu")
    usual = linear(features, weight, bias).argmax(dim=1)
    count = torch.zeros(len(features), dtype=torch.int64)
    with seeded(rng, torch.device("cpu")):
        for _ in range(samples):
            count += linear(dropout(features, share), weight, bias).argmax(dim=1) != usual
    return count


def _nearest(
    candidates: Candidates, rows: np.ndarray, x: Rows, weights: Scores | None, size: int, rng: np.random.Generator,
    starts: int,
) -> Picks:  # fmt: skip
    """As many clusters as picks over these rows of the pool, and the image nearest to each centroid."""
    size = min(size, len(rows))
    if not size:
        return Picks(candidates.pool.ids[:0], np.empty(0))
    clusters, centroids = cluster(x, size, rng, starts, weights)
    found, scores = pick_in_turn(clusters, len(x), size, rng, nearest_to_centroids(x, clusters, centroids))
    return Picks(candidates.pool.ids[rows[found]], scores)
