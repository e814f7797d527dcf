"""The graph of nearest neighbours that labels spread over, and the spreading. Knows nothing of tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, dia_matrix, vstack
from sklearn.neighbors import NearestNeighbors

from learner.data import IntArray
from learner.events import Event, Progress

Rows = NDArray[np.float32]
Mass = NDArray[np.float64]
TOLERANCE = 1e-4  # of a probability
MOST = 300  # iterations
CHUNK = 8192  # rows between two reports


@dataclass(frozen=True, eq=False)
class Graph:
    """Each row of an embedding and its k nearest, itself among them, as in scikit-learn's LabelSpreading."""

    index: Any  # NearestNeighbors over the nodes
    spread: csr_matrix  # (N, N), D^-1/2 A D^-1/2 without the diagonal; D counts whose neighbour a row is

    @classmethod
    def of(cls, embedding: Rows, neighbors: int, report: Callable[[Event], None]) -> "Graph":
        """Exact; seconds for tens of thousands of rows, reported on the way."""
        index = NearestNeighbors(n_neighbors=min(neighbors, len(embedding))).fit(embedding)
        parts = []
        for start in range(0, len(embedding), CHUNK):
            report(Progress("embedding", start, len(embedding)))
            parts.append(index.kneighbors_graph(embedding[start : start + CHUNK]))
        links = vstack(parts).tocsr()
        links.setdiag(0)
        links.eliminate_zeros()
        degree = np.asarray(links.sum(axis=0)).ravel()
        scale = dia_matrix((1 / np.sqrt(np.maximum(degree, 1)), 0), shape=links.shape)
        return cls(index, (scale @ links @ scale).tocsr())

    def propagate(self, start: Mass, alpha: float) -> Mass:
        """(N, C) labels as ones -> (N, C) distributions, zero where no label reaches. Zhou et al. 2003."""
        mass, before = start, np.zeros_like(start)
        for _ in range(MOST):
            mass = alpha * (self.spread @ mass) + (1 - alpha) * start
            now = distributions(mass)
            if np.abs(now - before).max(initial=0) < TOLERANCE:
                break
            before = now
        return before

    def induce(self, known: Mass, embedding: Rows) -> Mass:
        """(M, D) new rows -> (M, C) the mean of what their neighbours know, zero where that is nothing."""
        nearest: IntArray = self.index.kneighbors(embedding, return_distance=False)
        return distributions(known[nearest].sum(axis=1))


def evened(known: Mass, power: float) -> Mass:
    """(n, C) distributions in which each class weighs less by its mass to this power.

    1 is the class mass normalisation of Zhu et al. 2003 towards equal classes; in between it is tempered. Where rare
    images have mostly common neighbours, their class else loses nearly all of them.
    """
    if not power:
        return known
    mass = known.sum(axis=0)
    return distributions(known * np.divide(1, mass, out=np.zeros_like(mass), where=mass > 0) ** power)


def distributions(mass: Mass) -> Mass:
    """Rows divided by their sum; rows of zeros stay."""
    total = mass.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(mass, total, out=np.zeros_like(mass), where=total > 0))
