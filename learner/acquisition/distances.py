"""Distances of many rows to few, as matrix products."""

from collections.abc import Iterator

import torch
from torch import Tensor

CHUNK = 8192  # rows at once
OTHERS = 1024  # of the other side


def parts(x: Tensor, size: int = CHUNK) -> Iterator[Tensor]:
    """Rows of x, so many at once; nothing of an empty one."""
    for start in range(0, len(x), size):
        yield x[start : start + size]


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(N, D), (M, D) -> (N, M). By the scalar product: float32 rounds small ones to about 1e-6 of the lengths."""
    found = torch.addmm(x.square().sum(dim=1)[:, None], x, y.T, alpha=-2)
    return (found + y.square().sum(dim=1)).clamp_(min=0)


def nearest_squared(x: Tensor, y: Tensor) -> Tensor:
    """(N, D), (M, D) -> (N,) squared distance of each x to the nearest y; infinite without any."""
    nearest = torch.full((len(x),), torch.inf)
    for rows in parts(torch.arange(len(x))):
        for part in parts(y, OTHERS):
            nearest[rows] = torch.minimum(nearest[rows], squared_distances(x[rows], part).amin(dim=1))
    return nearest


def median_distance(x: Tensor, generator: torch.Generator, pairs: int = 10_000) -> float:
    """Of random pairs of (N, D); 1 where all rows are equal."""
    first, second = torch.randint(len(x), (2, pairs), generator=generator)
    distances = (x[first] - x[second]).norm(dim=1)
    apart = distances[distances > 0]
    return float(apart.median()) if len(apart) else 1.0
