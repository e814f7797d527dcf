"""What a selection looks like, where the truth is known: it explains why a strategy won or failed."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learner.acquisition.distances import nearest_squared
from learner.data import IntArray


@dataclass(frozen=True)
class Described:
    """Of all images asked so far."""

    classes_seen: int
    total_variation: float  # between the classes of the selection and those of all images, in [0, 1]
    coverage_radius: float  # the distance of the farthest image to the nearest one asked


class Selection:
    """Images asked so far, among images whose classes (N,) and embedding (N, D) are known."""

    def __init__(self, classes: IntArray, num_classes: int, embedding: Tensor) -> None:
        self._classes, self._x = classes, embedding
        self._truth = np.bincount(classes, minlength=num_classes) / max(len(classes), 1)
        self._counts = np.zeros(num_classes, np.int64)
        self._nearest = torch.full((len(embedding),), torch.inf)

    def add(self, rows: IntArray) -> Described:
        """With these rows, too."""
        self._counts += np.bincount(self._classes[rows], minlength=len(self._counts))
        self._nearest = torch.minimum(self._nearest, nearest_squared(self._x, self._x[torch.from_numpy(rows)]))
        shares = self._counts / max(self._counts.sum(), 1)
        return Described(
            int((self._counts > 0).sum()),
            float(np.abs(shares - self._truth).sum() / 2),
            float(self._nearest.max().sqrt()) if len(self._nearest) else 0.0,
        )
