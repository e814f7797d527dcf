"""Made data for acquisition.py, with fixed seeds, and how far chosen rows of it lie."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from learner.acquisition.distances import nearest_squared

RADIUS = 2.5  # of balls: between neighbours of one cluster


def logits(n: int, models: int, classes: int) -> Tensor:
    """(T, n, C) of models that agree on some images more than on others."""
    given = torch.Generator().manual_seed(0)
    found = torch.randn(models, n, classes, generator=given)
    found += 2 * torch.randn(n, classes, generator=given)
    return found.mul_(2 * torch.rand(n, 1, generator=given))


def probabilities(n: int, models: int, classes: int) -> np.ndarray:
    """(n, C, T) of the same models, as baal wants them."""
    return logits(n, models, classes).softmax(dim=2).permute(1, 2, 0).contiguous().numpy()


def embedding(n: int, width: int) -> np.ndarray:
    """(n, D) float32 in ten clusters, each dimension narrower than the one before."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, width), np.float32)
    x += 2 * rng.standard_normal((10, width), np.float32)[rng.integers(10, size=n)]
    x /= np.sqrt(np.arange(1, width + 1, dtype=np.float32))
    return x


def away(x: np.ndarray, rows: Any) -> Tensor:
    """(N,) distances of (N, D) to the nearest of the chosen rows."""
    given = torch.from_numpy(x)
    return nearest_squared(given, given[torch.as_tensor(np.asarray(rows, np.int64))]).sqrt()


def top(scores: Any) -> list[int]:
    """The hundred highest of (N,)."""
    return np.argsort(-np.asarray(scores), kind="stable")[:100].tolist()


def inertia(x: np.ndarray, labels: np.ndarray, centroids: np.ndarray) -> float:
    """Mean squared distance of (N, D) to the own centroid."""
    return float(np.square(x - centroids[labels]).sum(axis=1).mean())
