"""Scores of stochastic predictions, from quantities streamed over them. Higher means ask first."""

from torch import Tensor

from learner.acquisition.candidates import Candidates, by_score
from learner.acquisition.uncertainty import entropy


def bald(mean_probs: Tensor, expected_entropy: Tensor) -> Tensor:
    """What the label would tell about the model, in nats: (N, C), (N,) -> (N,), in [0, ln C].

    Entropy of the mean prediction minus mean entropy; never below zero. Houlsby et al. 2011.
    """
    return (entropy(mean_probs.double()) - expected_entropy.double()).clamp(min=0)


def _score(candidates: Candidates) -> Tensor:
    pool = candidates.pool
    return bald(pool.need("mean_probs"), pool.need("expected_entropy"))


select_bald = by_score(_score)
