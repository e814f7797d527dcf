"""Images that stand for all others under a Gaussian kernel, labeled ones included. Needs no model."""

import numpy as np
import torch
from torch import Tensor

from learner.acquisition.candidates import Candidates, Picks
from learner.acquisition.distances import median_distance, parts, squared_distances
from learner.acquisition.lazy import Gains, lazy_greedy
from learner.acquisition.settings import HerdingSettings, MaxHerdingSettings
from learner.device import generator

ROWS = 512  # at once


def select_max_herding(
    candidates: Candidates, size: int, rng: np.random.Generator, settings: MaxHerdingSettings
) -> Picks:
    """Greedily the image that brings all images nearest to one that is labeled or chosen. Bae et al. 2024.

    Nearness is the kernel; scores say by how much its mean rises. A soft form of probcover.
    """
    kernel = _Kernel(candidates, rng, settings)
    if not len(kernel.x):
        return Picks(candidates.pool.ids[:0], np.empty(0))
    near = torch.zeros(len(kernel.targets))  # (U,) nearness of each target to its nearest
    for part in parts(kernel.labeled, ROWS):
        near = torch.maximum(near, kernel(part, kernel.targets).amax(dim=0))

    def gains(rows: Tensor) -> Gains:
        block = kernel(kernel.x[rows], kernel.targets)  # (b, U)
        return lambda: (block - near).clamp_(min=0).mean(dim=1)

    def take(row: int) -> None:
        torch.maximum(near, kernel(kernel.x[[row]], kernel.targets)[0], out=near)

    bounds = torch.empty(len(kernel.x))  # not a list of parts: between them freed blocks of the kernel were not reused
    for rows in parts(torch.arange(len(kernel.x)), ROWS):
        bounds[rows] = gains(rows)()
    return kernel.picks(*lazy_greedy(bounds, size, gains, take))


def select_rdss(candidates: Candidates, size: int, rng: np.random.Generator, settings: HerdingSettings) -> Picks:
    """Kernel herding without replacement towards alpha times the mean of all images. Shao et al. 2024.

    alpha is 1 - 1 / sqrt(m) for m labels and picks together: the smaller, the more images keep apart. Scores are alpha
    times the mean kernel with all images, minus that with the labeled and chosen ones.
    """
    kernel = _Kernel(candidates, rng, settings)
    x, size = kernel.x, min(size, len(kernel.x))
    if not size:
        return Picks(candidates.pool.ids[:0], np.empty(0))
    count = len(kernel.labeled)
    alpha = 1 - 1 / np.sqrt(count + size)
    like_all = torch.empty(len(x))  # (N,)
    for part in parts(torch.arange(len(x)), ROWS):
        like_all[part] = kernel(x[part], kernel.targets).mean(dim=1)
    like_chosen = torch.zeros(len(x))
    for part in parts(kernel.labeled, ROWS):
        like_chosen += torch.cat([kernel(some, part).sum(dim=1) for some in parts(x, ROWS)])
    free = torch.ones(len(x), dtype=torch.bool)
    rows, scores = [], []
    for _ in range(size):
        score = alpha * like_all - like_chosen / max(count, 1)
        row = int(score.masked_fill(~free, -torch.inf).argmax())
        rows.append(row)
        scores.append(float(score[row]))
        free[row] = False
        like_chosen += kernel(x, x[[row]])[:, 0]
        count += 1
    return kernel.picks(rows, scores)


class _Kernel:
    """exp(-d^2 / 2 s^2) between rows of an embedding, s in units of the median distance; rows in a drawn order."""

    def __init__(self, candidates: Candidates, rng: np.random.Generator, settings: HerdingSettings) -> None:
        self._ids = candidates.pool.ids
        draws = generator(rng)
        self._order = torch.randperm(len(self._ids), generator=draws)  # ties are drawn
        self.x = candidates.pool.finite("embedding")[self._order]  # (N, D)
        labeled = candidates.labeled
        self.labeled = labeled.finite("embedding") if len(labeled.ids) else self.x[:0]
        everything = torch.cat([self.x, self.labeled])
        self.targets = everything[torch.randperm(len(everything), generator=draws)[: settings.targets]]  # (U, D)
        self._scale = settings.bandwidth * median_distance(everything, draws) if len(everything) else 1.0

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """(n, D), (m, D) -> (n, m) in [0, 1]."""
        return squared_distances(x, y).div_(-2 * self._scale**2).exp_()

    def picks(self, rows: list[int], scores: list[float]) -> Picks:
        return Picks(self._ids[self._order[rows].numpy()], np.array(scores, np.float64))
