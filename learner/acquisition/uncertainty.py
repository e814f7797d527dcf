"""Scores of one deterministic prediction. All take probabilities, never logits; higher means ask first."""

import torch
from torch import Tensor

from learner.acquisition.candidates import by_score


def least_confidence(probs: Tensor) -> Tensor:
    """One minus the likeliest class's probability: (N, C) -> (N,), in [0, 1 - 1/C]. Lewis & Gale 1994."""
    return 1 - probs.amax(dim=1)


def margin(probs: Tensor) -> Tensor:
    """One minus the gap between the two likeliest classes: (N, C) -> (N,), in [0, 1].

    Higher means less certain. Needs at least two classes. Scheffer et al. 2001.
    """
    first, second = probs.topk(2, dim=1).values.T
    gap: Tensor = first - second
    return 1 - gap


def entropy(probs: Tensor) -> Tensor:
    """Shannon entropy in nats: (N, C) -> (N,), in [0, ln C]; a probability of zero counts as zero."""
    terms: Tensor = torch.special.entr(probs)
    return terms.sum(dim=1)


select_least_confidence = by_score(lambda candidates: least_confidence(candidates.pool.need("probs")))
select_margin = by_score(lambda candidates: margin(candidates.pool.need("probs")))
select_entropy = by_score(lambda candidates: entropy(candidates.pool.need("probs")))
