"""Typical images of the largest clusters that have no label yet. Needs no model. Hacohen et al. 2022."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from learner.acquisition.candidates import Candidates, Picks
from learner.config import TypiclustSettings
from learner.data import IntArray
from learner.errors import NotFinite

MANY = 50_000  # images; beyond, k-means reads them in batches
Rows = NDArray[np.float32]


def select_typiclust(candidates: Candidates, size: int, rng: np.random.Generator, settings: TypiclustSettings) -> Picks:
    """The most typical image of each cluster, clusters with fewest labels first, then the largest.

    There are as many clusters as labels and picks together. Scores are typicalities; they follow the order of
    the clusters, so they may rise. NotFinite for an embedding that is not finite.
    """
    pool, labeled = candidates.pool, candidates.labeled
    size = min(size, len(pool.ids))
    rows = [side.need("embedding").cpu().float().numpy() for side in (pool, labeled) if len(side.ids)]
    if not size:
        return Picks(pool.ids[:0], np.empty(0))
    x = np.concatenate(rows)  # (N + n, D): the pool, then the labeled
    if not np.isfinite(x).all():
        raise NotFinite("the embedding of the images is not finite; compute the features again")
    clusters = cluster(x, min(len(labeled.ids) + size, settings.max_clusters), rng)
    picks, scores = _pick(x, clusters, len(pool.ids), size, rng, settings)
    return Picks(pool.ids[picks], scores)


def cluster(x: Rows, number: int, rng: np.random.Generator) -> IntArray:
    """(N, D) -> (N,) cluster of each row; fewer than `number` where there are fewer distinct rows."""
    number = min(number, len(x))
    options = {"n_clusters": number, "init": "random", "random_state": int(rng.integers(2**31))}
    if len(x) > MANY:
        kmeans = MiniBatchKMeans(**options, n_init=3)
    else:
        kmeans = KMeans(**options, n_init=10, max_iter=20)
    with warnings.catch_warnings(), threadpool_limits(1, "openmp"):  # several threads sum in no fixed order
        warnings.simplefilter("ignore", ConvergenceWarning)  # of rows that are not distinct: no harm here
        labels: IntArray = kmeans.fit(x).labels_.astype(np.int64)
    return labels


def typicality(x: Rows, neighbors: int) -> NDArray[np.float64]:
    """(M, D) -> (M,), one over the mean distance to the nearest others: higher is more typical.

    Finite for equal rows; 0 for a row that is alone.
    """
    count = min(neighbors, len(x) - 1)
    if count < 1:
        return np.zeros(len(x))
    distances, _ = NearestNeighbors(n_neighbors=count).fit(x).kneighbors()
    typical: NDArray[np.float64] = 1 / (distances.mean(axis=1) + 1e-5)
    return typical


def _pick(
    x: Rows, clusters: IntArray, pool: int, size: int, rng: np.random.Generator, settings: TypiclustSettings
) -> tuple[IntArray, NDArray[np.float64]]:
    """`size` of the first `pool` rows, and their typicalities."""
    sizes = np.bincount(clusters)
    labels = np.bincount(clusters[pool:], minlength=len(sizes))
    waiting: dict[int, list[tuple[int, float]]] = {}  # of each cluster that was visited: least typical first
    small = sizes <= settings.min_cluster
    left = np.bincount(clusters[:pool], minlength=len(sizes))
    ties = rng.permutation(len(sizes))
    chosen: list[tuple[int, float]] = []
    while len(chosen) < size:
        best = int(np.lexsort((ties, -sizes, labels + small, left == 0))[0])
        if best not in waiting:
            waiting[best] = _by_typicality(x, np.flatnonzero(clusters == best), pool, rng, settings.neighbors)
        chosen.append(waiting[best].pop())
        labels[best] += 1
        left[best] -= 1
    ids, scores = zip(*chosen, strict=True)
    return np.array(ids, np.int64), np.array(scores)


def _by_typicality(
    x: Rows, members: IntArray, pool: int, rng: np.random.Generator, neighbors: int
) -> list[tuple[int, float]]:
    """The members that are in the pool with their typicality, least typical first, ties in random order."""
    scores = typicality(x[members], neighbors)
    free = members < pool
    members, scores = members[free], scores[free]
    order = np.lexsort((rng.permutation(len(members)), scores))
    return list(zip(members[order].tolist(), scores[order].tolist(), strict=True))
