"""Uncertain images that are like many others, so that outliers come last. Settles & Craven 2008."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from learner.acquisition.candidates import Candidates, Picks, by_score
from learner.acquisition.distances import parts
from learner.acquisition.settings import InformationDensitySettings
from learner.acquisition.uncertainty import entropy


def density(embedding: Tensor, everything: Tensor) -> Tensor:
    """Mean cosine of each row with all images, negative ones as zero: (N, D), (M, D) -> (N,), in [0, 1].

    The mean of scalar products is the scalar product with the mean: no pair is ever looked at.
    """
    total = torch.zeros(everything.shape[1], dtype=torch.float64)
    for part in parts(everything):
        total += normalize(part.double(), dim=1).sum(dim=0)
    found = torch.empty(len(embedding), dtype=torch.float64)
    for rows in parts(torch.arange(len(embedding))):
        found[rows] = normalize(embedding[rows].double(), dim=1) @ total / len(everything)
    return found.clamp(min=0)


def select_information_density(
    candidates: Candidates, size: int, rng: np.random.Generator, settings: InformationDensitySettings
) -> Picks:
    """Entropy times density to the power of beta; the density is that among pool and labeled images."""

    def score(given: Candidates) -> Tensor:
        sides = [side.finite("embedding") for side in (given.pool, given.labeled) if len(side.ids)]
        everything = torch.cat(sides) if sides else given.pool.finite("embedding")
        alike = density(given.pool.finite("embedding"), everything)
        return entropy(given.pool.need("probs").double()) * alike**settings.beta

    return by_score(score)(candidates, size, rng, settings)
