"""Images whose gradients are large and different: uncertain and diverse at once. Ash et al. 2020.

The gradient of the last layer's weights for the predicted class is the outer product of (probabilities - one-hot) and
the penultimate features. Distances of outer products need only the scalar products of their factors: N x C x H is never
built.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from learner.acquisition.candidates import Candidates, Picks
from learner.device import generator
from learner.settings import NoSettings


def select_badge(candidates: Candidates, size: int, rng: np.random.Generator, settings: NoSettings) -> Picks:
    """k-means++ over gradients: the longest first, then drawn by the squared distance to the nearest chosen one.

    Scores are those squared distances, of the first its squared length. Where all distances are zero, at random.
    """
    pool = candidates.pool
    order = torch.randperm(len(pool.ids), generator=generator(rng))  # ties are drawn
    rows, scores = spread_out(*gradients(pool.finite("probs")[order], pool.finite("penultimate")[order]), size, rng)
    return Picks(pool.ids[order[rows].numpy()], np.array(scores, np.float64))


def gradients(probs: Tensor, penultimate: Tensor) -> tuple[Tensor, Tensor]:
    """(N, C), (N, H) -> both factors of each gradient: (N, C), (N, H)."""
    return probs - one_hot(probs.argmax(dim=1), probs.shape[1]), penultimate


def spread_out(left: Tensor, right: Tensor, size: int, rng: np.random.Generator) -> tuple[list[int], list[float]]:
    """k-means++ over the outer products of the rows of (N, C) and (N, H): rows, and their scores."""
    lengths = left.square().sum(dim=1) * right.square().sum(dim=1)  # (N,), squared
    nearest = lengths.clone()
    free = torch.ones(len(lengths), dtype=torch.bool)
    rows: list[int] = []
    scores: list[float] = []
    while len(rows) < min(size, len(lengths)):
        row = int(nearest.argmax()) if not rows else _draw(nearest, free, rng)
        rows.append(row)
        scores.append(float(nearest[row]))
        free[row] = False
        away = lengths + lengths[row] - 2 * (left @ left[row]) * (right @ right[row])
        nearest = (torch.minimum(nearest, away) if len(rows) > 1 else away).clamp_(min=0)
        nearest[~free] = 0
    return rows, scores


def _draw(weights: Tensor, free: Tensor, rng: np.random.Generator) -> int:
    """A row with a probability in proportion to its weight; where all weigh nothing, any free one."""
    shares = np.cumsum(weights.double().numpy())
    if shares[-1] <= 0:
        return int(rng.choice(np.flatnonzero(free.numpy())))
    return int(np.searchsorted(shares, rng.random() * shares[-1], side="right").clip(max=len(shares) - 1))
