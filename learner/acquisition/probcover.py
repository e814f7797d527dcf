"""Balls around few images that hold many others. Needs no model. Yehuda et al. 2022."""

import numpy as np
import torch
from torch import Tensor

from learner.acquisition.candidates import Candidates, Picks
from learner.acquisition.clustering import cluster, rows_of
from learner.acquisition.distances import nearest_squared, parts, squared_distances
from learner.acquisition.lazy import Gains, lazy_greedy
from learner.acquisition.settings import ProbcoverSettings
from learner.device import generator

SAMPLE = 2000  # images whose balls are looked at to find the radius


def select_probcover(candidates: Candidates, size: int, rng: np.random.Generator, settings: ProbcoverSettings) -> Picks:
    """Greedily the image whose ball holds most images that no ball holds yet. Scores are these numbers.

    Balls of labeled images hold theirs. Once everything is held the scores are zero and images come at random.
    """
    pool, labeled = candidates.pool, candidates.labeled
    order = torch.randperm(len(pool.ids), generator=generator(rng))  # ties are drawn
    x = pool.finite("embedding")[order]
    if not len(x):
        return Picks(pool.ids[:0], np.empty(0))
    radius = settings.radius or pure_radius(
        torch.from_numpy(rows_of(candidates)), candidates.num_classes, settings.purity, rng
    )
    cover = _Cover(x, radius)
    if len(labeled.ids):
        cover.free &= nearest_squared(x, labeled.finite("embedding")) > radius**2
    rows, gains = lazy_greedy(cover.all_gains(), size, cover.gains, cover.take)
    note = f"probcover: balls of radius {radius:.3g}, {int((~cover.free).sum())} of {len(x)} images in one"
    return Picks(pool.ids[order[rows].numpy()], np.array(gains, np.float64), note=note)


def pure_radius(x: Tensor, num_classes: int, purity: float, rng: np.random.Generator) -> float:
    """The largest radius at which this share of the balls holds images of one k-means cluster only: (N, D).

    A ball is pure up to the nearest image of another cluster, so this is a quantile of those distances. It is taken
    over the balls of a sample of images, each among all of them. Half of the median distance where there is one cluster
    only.
    """
    clusters = torch.from_numpy(cluster(x.numpy(), num_classes, rng, starts=3)[0])
    sample = torch.randperm(len(x), generator=generator(rng))[:SAMPLE]
    strangers = torch.full((len(sample),), torch.inf)
    for own in torch.unique(clusters):
        mine = clusters[sample] == own
        strangers[mine] = nearest_squared(x[sample[mine]], x[clusters != own])
    found = strangers[strangers.isfinite()]
    if not len(found):
        return float(squared_distances(x[sample[:100]], x[sample]).sqrt().median()) / 2
    return float(found.quantile(1 - purity).sqrt()) * (1 - 1e-6)


class _Cover:
    """Which images lie in a ball. Neighbours are found again when they are needed: the graph is never stored."""

    def __init__(self, x: Tensor, radius: float) -> None:
        self._x = x
        self._half = x.square().sum(dim=1) / 2 - radius**2 / 4  # |a - b| <= r just when a b >= half(a) + half(b)
        self.free = torch.ones(len(x), dtype=torch.bool)

    def _balls(self, rows: Tensor) -> Tensor:
        """(b, N): which images lie in the ball of each row."""
        balls = torch.empty((len(rows), len(self._x)), dtype=torch.bool)
        for part in parts(torch.arange(len(self._x))):
            products = torch.addmm(-self._half[part], self._x[rows], self._x[part].T)
            torch.ge(products, self._half[rows, None], out=balls[:, part[0] : part[-1] + 1])
        balls[torch.arange(len(rows)), rows] = True  # whatever rounding says
        return balls

    def all_gains(self) -> Tensor:
        """(N,) free images in every ball."""
        found = torch.empty(len(self._x))  # not a list of parts: between them freed balls were not reused
        for rows in parts(torch.arange(len(self._x)), 512):
            found[rows] = self.gains(rows)()
        return found

    def gains(self, rows: Tensor) -> Gains:
        balls = self._balls(rows)
        return lambda: (balls & self.free).sum(dim=1).float()

    def take(self, row: int) -> None:
        self.free &= ~self._balls(torch.tensor([row]))[0]
