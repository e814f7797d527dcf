"""Clusters, and images out of them: near the centroid, or at random. Labels are taken into account."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from learner.acquisition.candidates import Candidates, Picks
from learner.acquisition.settings import KmeansSettings, KmeansShareSettings
from learner.data import IntArray

MANY = 50_000  # images; beyond, k-means reads them in batches
Rows = NDArray[np.float32]
Scores = NDArray[np.float64]
Ranking = Callable[[IntArray], Scores]  # rows of a cluster -> higher is asked first


def rows_of(candidates: Candidates, name: str = "embedding") -> Rows:
    """(N + n, D) of the pool, then of the labeled. NotFinite where it is not a number."""
    sides = [side.finite(name).numpy() for side in (candidates.pool, candidates.labeled) if len(side.ids)]
    return np.concatenate(sides) if sides else np.empty((0, 1), np.float32)


def cluster(
    x: Rows, number: int, rng: np.random.Generator, starts: int = 1, weights: Scores | None = None
) -> tuple[IntArray, Rows]:
    """(N, D) -> (N,) cluster of each row, and centroids (k, D), as many as there are distinct rows at most."""
    number = min(number, len(x))
    options = {"n_clusters": number, "init": "random", "random_state": int(rng.integers(2**31)), "n_init": starts}
    if len(x) > MANY:
        kmeans = MiniBatchKMeans(**options)
    else:
        kmeans = KMeans(**options, max_iter=20)
    with warnings.catch_warnings(), threadpool_limits(1, "openmp"):  # several threads sum in no fixed order
        warnings.simplefilter("ignore", ConvergenceWarning)  # of rows that are not distinct: no harm here
        fitted = kmeans.fit(x, sample_weight=weights)
    return fitted.labels_.astype(np.int64), fitted.cluster_centers_.astype(np.float32)


def pick_in_turn(
    clusters: IntArray, pool: int, size: int, rng: np.random.Generator, rank: Ranking, min_cluster: int = 0
) -> tuple[IntArray, Scores]:
    """`size` of the first `pool` rows: always from the cluster with fewest labels, then the largest; and their ranks.

    Rows behind the pool are labeled. Clusters of up to `min_cluster` rows count as labeled once; ties are drawn.
    """
    sizes = np.bincount(clusters)
    labels = np.bincount(clusters[pool:], minlength=len(sizes))
    left = np.bincount(clusters[:pool], minlength=len(sizes))
    ties, small = rng.permutation(len(sizes)), sizes <= min_cluster
    waiting: dict[int, list[tuple[int, float]]] = {}  # of each cluster that was visited, the first one last
    chosen: list[tuple[int, float]] = []
    for _ in range(min(size, pool)):
        best = int(np.lexsort((ties, -sizes, labels + small, left == 0))[0])
        if best not in waiting:
            members = np.flatnonzero(clusters == best)
            waiting[best] = _ranked(members, rank(members), pool, rng)
        chosen.append(waiting[best].pop())
        labels[best] += 1
        left[best] -= 1
    rows, scores = zip(*chosen, strict=True) if chosen else ((), ())
    return np.array(rows, np.int64), np.array(scores, np.float64)


def _ranked(members: IntArray, scores: Scores, pool: int, rng: np.random.Generator) -> list[tuple[int, float]]:
    """The members that are in the pool with their ranks, lowest first, ties in random order."""
    free = members < pool
    members, scores = members[free], scores[free]
    order = np.lexsort((rng.permutation(len(members)), scores))
    return list(zip(members[order].tolist(), scores[order].tolist(), strict=True))


def nearest_to_centroids(x: Rows, clusters: IntArray, centroids: Rows) -> Ranking:
    """A ranking of the members of a cluster: minus the distance to its centroid."""

    def rank(members: IntArray) -> Scores:
        away = x[members] - centroids[clusters[members[0]]]
        distances: Scores = np.sqrt(np.square(away, dtype=np.float64).sum(axis=1))
        return -distances

    return rank


def select_kmeans(candidates: Candidates, size: int, rng: np.random.Generator, settings: KmeansSettings) -> Picks:
    """As many clusters as labels and picks together; the image nearest to each centroid, where there is no label yet.

    Scores are minus the distance to the centroid. Zhdanov 2019; without labels the study's first variant.
    """
    return _central(candidates, size, rng, len(candidates.labeled.ids) + size, settings.starts)


def select_kmeans_top(
    candidates: Candidates, size: int, rng: np.random.Generator, settings: KmeansShareSettings
) -> Picks:
    """Fewer clusters, and the `per_cluster` images nearest to each centroid. They are often alike."""
    return _central(candidates, size, rng, _shared(candidates, size, settings), settings.starts)


def select_kmeans_random(
    candidates: Candidates, size: int, rng: np.random.Generator, settings: KmeansShareSettings
) -> Picks:
    """Fewer clusters, and `per_cluster` images of each at random, with their probabilities given the clusters."""
    x = rows_of(candidates)
    clusters, _ = cluster(x, _shared(candidates, size, settings), rng, settings.starts)
    return random_of_clusters(candidates, clusters, size, rng)


def random_of_clusters(candidates: Candidates, clusters: IntArray, size: int, rng: np.random.Generator) -> Picks:
    """Images at random, from clusters in turn, with their probabilities given the clusters: (N + n,) of both sides."""
    pool = len(candidates.pool.ids)
    rows, _ = pick_in_turn(clusters, pool, size, rng, lambda members: rng.random(len(members)))
    taken, all_of = (np.bincount(clusters[some], minlength=clusters.max(initial=0) + 1) for some in (rows, slice(pool)))
    found = clusters[rows]
    return Picks(candidates.pool.ids[rows], probabilities=taken[found] / all_of[found])


def _shared(candidates: Candidates, size: int, settings: KmeansShareSettings) -> int:
    labels = len(candidates.labeled.ids) + min(size, len(candidates.pool.ids))
    return max(1, -(-labels // settings.per_cluster))


def _central(candidates: Candidates, size: int, rng: np.random.Generator, number: int, starts: int) -> Picks:
    """The images nearest to the centroids of so many clusters, in turn."""
    x, pool = rows_of(candidates), len(candidates.pool.ids)
    size = min(size, pool)
    if not size:
        return Picks(candidates.pool.ids[:0], np.empty(0))
    clusters, centroids = cluster(x, number, rng, starts)
    rows, scores = pick_in_turn(clusters, pool, size, rng, nearest_to_centroids(x, clusters, centroids))
    return Picks(candidates.pool.ids[rows], scores)
