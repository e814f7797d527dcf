"""Scores of stochastic predictions, from quantities streamed over them. Higher means ask first."""

import numpy as np
import torch
from torch import Tensor

from learner.acquisition.candidates import Candidates, Picks, by_score, finite_scores
from learner.acquisition.settings import PowerBaldSettings
from learner.acquisition.uncertainty import entropy

TINY = 1e-12  # nats: what no information counts as where its logarithm is taken


def bald(mean_probs: Tensor, expected_entropy: Tensor) -> Tensor:
    """What the label would tell about the model, in nats: (N, C), (N,) -> (N,), in [0, ln C].

    Entropy of the mean prediction minus mean entropy; never below zero. Houlsby et al. 2011.
    """
    return (entropy(mean_probs.double()) - expected_entropy.double()).clamp(min=0)


def variation_ratio(votes: Tensor) -> Tensor:
    """Share of the stochastic predictions that are not the most frequent one: (N, C) -> (N,), in [0, 1 - 1/C].

    With T predictions there are at most T values, hence many ties. Freeman 1965.
    """
    return 1 - votes.amax(dim=1)


def mean_std(std: Tensor) -> Tensor:
    """Standard deviation of each class's probability, averaged over classes: (N, C) -> (N,), in [0, 1/2].

    Kampffmeyer et al. 2016.
    """
    return std.mean(dim=1)


def bald_of(candidates: Candidates) -> Tensor:
    """(N,) of the pool."""
    pool = candidates.pool
    return bald(pool.need("mean_probs"), pool.need("expected_entropy"))


select_bald = by_score(bald_of)
select_variation_ratios = by_score(lambda candidates: variation_ratio(candidates.pool.need("votes")))
select_mean_std = by_score(lambda candidates: mean_std(candidates.pool.need("std")))


def select_power_bald(
    candidates: Candidates, size: int, rng: np.random.Generator, settings: PowerBaldSettings
) -> Picks:
    """BALD to the power of beta weighs a draw without replacement: the Gumbel top-k trick. Kirsch et al. 2023.

    Probabilities are those of being among the picks given all other images' noise: over them, sums of one over the
    probability are unbiased (Kool et al. 2019). Scores are BALD and follow no order.
    """
    scores = finite_scores(candidates, bald_of(candidates))
    order, probabilities = gumbel_top_k(settings.beta * np.log(np.maximum(scores, TINY)), size, rng)
    return Picks(candidates.pool.ids[order], scores[order], probabilities)


def gumbel_top_k(logits: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows drawn without replacement with weights exp(logits), in the order of the draw, and their probabilities."""
    noisy = logits + rng.gumbel(size=len(logits))  # (N,)
    order = np.argsort(-noisy)
    if size >= len(logits):
        return order, np.ones(len(order))
    chosen, limit = order[:size], noisy[order[size]]
    return chosen, -np.expm1(-np.exp(np.minimum(logits[chosen] - limit, 50)))


def conditional_entropy(samples: Tensor) -> Tensor:
    """(n, T, C) -> (n,): what stays unknown of the label when the model is known, in nats."""
    terms: Tensor = torch.special.entr(samples.double())
    return terms.sum(dim=2).mean(dim=1)
