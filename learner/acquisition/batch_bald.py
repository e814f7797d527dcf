"""The images whose labels together tell most about the model: their joint information, not the sum. Kirsch et al. 2019.

Each image is worth the entropy of its label given those chosen before, minus what the model would not know anyway. The
joint labels of the chosen ones are kept as a table of configurations with the posterior of the T models under each:
exact while the table is small, then drawn from it.
"""

import numpy as np
import torch
from torch import Tensor

from learner.acquisition.bayesian import bald_of, conditional_entropy
from learner.acquisition.candidates import Candidates, Picks, finite_scores
from learner.acquisition.distances import parts
from learner.acquisition.lazy import Gains, lazy_greedy
from learner.acquisition.settings import BatchBaldSettings
from learner.errors import LearnerError

AT_ONCE = 4_000_000  # numbers


def select_batch_bald(
    candidates: Candidates, size: int, rng: np.random.Generator, settings: BatchBaldSettings
) -> Picks:
    """Greedy joint information among the images with the highest BALD; scores are the gains, in nats.

    With T stochastic predictions there are ln T nats to learn; beyond `max_batch` images the highest BALD follows.
    """
    if candidates.sample is None:
        raise LearnerError("batch_bald uses samples but its row in STRATEGIES does not need them; add them there")
    scores = finite_scores(candidates, bald_of(candidates))
    order = np.lexsort((rng.permutation(len(scores)), -scores))
    near = order[: settings.max_images]
    joint = min(size, settings.max_batch, len(near))
    samples = candidates.sample(candidates.pool.ids[near])  # (n, T, C)
    chosen, gains = batch_bald(samples, joint, settings.configurations, rng)
    rest = np.setdiff1d(order, near[chosen], assume_unique=True)
    rest = order[np.isin(order, rest)][: min(size, len(order)) - joint]
    rows = np.concatenate([near[chosen], rest])
    return Picks(candidates.pool.ids[rows], np.concatenate([gains, scores[rest]]))


def batch_bald(
    samples: Tensor, size: int, configurations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(n, T, C) probabilities under the same T models -> rows in asking order, and their gains in nats."""
    problem = _Joint(samples, configurations, rng)
    rows, gains = lazy_greedy(problem.gains(torch.arange(len(samples)))(), size, problem.gains, problem.take)
    return np.array(rows, np.int64), np.array(gains)


class _Joint:
    """The labels of the chosen images so far."""

    def __init__(self, samples: Tensor, configurations: int, rng: np.random.Generator) -> None:
        self._samples, self._most, self._rng = samples, configurations, rng
        models = samples.shape[1]
        self._weights = torch.ones(1, dtype=torch.float64)  # (M,) of the configurations, sums to one
        self._posterior = torch.full((1, models), 1 / models, dtype=torch.float64)  # (M, T), rows sum to one

    def gains(self, rows: Tensor) -> Gains:
        """Entropy of each row's label given the configurations, minus its entropy given the model: (b,)."""
        samples = self._samples[rows].double()  # (b, T, C)
        known = conditional_entropy(samples)

        def now() -> Tensor:
            rows_at_once = max(1, AT_ONCE // (len(self._weights) * samples.shape[2]))
            gains = torch.empty(len(samples), dtype=torch.float64)
            for part in parts(torch.arange(len(samples)), rows_at_once):
                said = torch.einsum("mt,btc->bmc", self._posterior, samples[part])
                gains[part] = torch.special.entr(said).sum(dim=2) @ self._weights
            return (gains - known).clamp(min=0)

        return now

    def take(self, row: int) -> None:
        """Every configuration with every label of this image; more than fit are drawn by their weight."""
        probs = self._samples[row].double()  # (T, C)
        joint = self._posterior[:, :, None] * probs  # (M, T, C)
        said = joint.sum(dim=1)  # (M, C)
        weights = (self._weights[:, None] * said).flatten()
        posterior = joint.permute(0, 2, 1).flatten(0, 1) / said.flatten().clamp(min=1e-300)[:, None]
        possible = weights > 0
        weights, posterior = weights[possible], posterior[possible]
        if len(weights) > self._most:
            kept, weights = self._draw(weights)
            posterior = posterior[kept]
        self._weights, self._posterior = weights / weights.sum(), posterior

    def _draw(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Systematic: each configuration as often as its weight says, up to one more or less; and the new weights."""
        edges = (np.arange(self._most) + self._rng.random()) / self._most
        shares = np.cumsum(weights.numpy()) / float(weights.sum())
        drawn, times = np.unique(np.searchsorted(shares, edges).clip(max=len(weights) - 1), return_counts=True)
        return torch.from_numpy(drawn), torch.from_numpy(times / self._most)
