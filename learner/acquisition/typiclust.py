"""Typical images of the largest clusters that have no label yet. Needs no model. Hacohen et al. 2022."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from learner.acquisition.candidates import Candidates, Picks
from learner.acquisition.clustering import Rows, Scores, cluster, pick_in_turn, rows_of
from learner.acquisition.settings import TypiclustSettings

STARTS = 10  # of k-means, while it is quick
QUICK = 1_000_000  # images times clusters


def select_typiclust(candidates: Candidates, size: int, rng: np.random.Generator, settings: TypiclustSettings) -> Picks:
    """The most typical image of each cluster, clusters with fewest labels first, then the largest.

    There are as many clusters as labels and picks together. Scores are typicalities; they follow the order of
    the clusters, so they may rise. NotFinite for an embedding that is not finite.
    """
    pool, labeled = candidates.pool, candidates.labeled
    size = min(size, len(pool.ids))
    if not size:
        return Picks(pool.ids[:0], np.empty(0))
    x = rows_of(candidates)  # (N + n, D)
    number = min(len(labeled.ids) + size, settings.max_clusters)
    clusters, _ = cluster(x, number, rng, STARTS if len(x) * number <= QUICK else 1)
    rows, scores = pick_in_turn(
        clusters, len(pool.ids), size, rng,
        lambda members: typicality(x[members], settings.neighbors), settings.min_cluster,
    )  # fmt: skip
    return Picks(pool.ids[rows], scores)


def typicality(x: Rows, neighbors: int) -> Scores:
    """(M, D) -> (M,), one over the mean distance to the nearest others: higher is more typical.

    Finite for equal rows; 0 for a row that is alone.
    """
    count = min(neighbors, len(x) - 1)
    if count < 1:
        return np.zeros(len(x))
    distances, _ = NearestNeighbors(n_neighbors=count).fit(x).kneighbors()
    typical: Scores = 1 / (distances.mean(axis=1) + 1e-5)
    return typical
