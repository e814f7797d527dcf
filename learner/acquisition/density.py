"""DBSCAN and OPTICS, then images of each cluster at random. For reproducing; clusters of any number fit no budget.

In many dimensions all distances are alike, and both find one cluster or none: hence principal components first.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN, OPTICS
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.extmath import randomized_svd

from learner.acquisition.candidates import Candidates, Picks
from learner.acquisition.clustering import Rows, Scores, random_of_clusters, rows_of
from learner.acquisition.settings import DensitySettings, OpticsSettings
from learner.data import IntArray

NOISE = -1


@dataclass(frozen=True, eq=False)
class Found:
    """A clustering: what a plot of it needs, too."""

    clusters: IntArray  # (N,), NOISE for images in none
    distances: Scores  # of each image to its min_points-th neighbour, ascending, in the metric
    eps: float  # in the metric; of optics: the largest that was looked at

    @property
    def sizes(self) -> IntArray:
        """Of the clusters, descending."""
        return np.sort(np.bincount(self.clusters[self.clusters != NOISE]))[::-1]

    def __str__(self) -> str:
        noise, sizes = int((self.clusters == NOISE).sum()), self.sizes
        what = f"{len(sizes)} clusters of {sizes[-1]} to {sizes[0]} images" if len(sizes) else "no clusters"
        if len(sizes) == 1:
            what = f"one cluster of {sizes[0]} images"
        return f"{what}, {noise} of {len(self.clusters)} images are noise, eps {self.eps:.3g}"


def select_dbscan(candidates: Candidates, size: int, rng: np.random.Generator, settings: DensitySettings) -> Picks:
    """Images of DBSCAN's clusters at random, in turn, and their probabilities given the clusters. Ester et al. 1996."""
    return _select("dbscan", candidates, size, rng, settings)


def select_optics(candidates: Candidates, size: int, rng: np.random.Generator, settings: OpticsSettings) -> Picks:
    """The same with the clusters of OPTICS. Ankerst et al. 1999."""
    return _select("optics", candidates, size, rng, settings)


def _select(name: str, candidates: Candidates, size: int, rng: np.random.Generator, settings: DensitySettings) -> Picks:
    pool = len(candidates.pool.ids)
    if not pool:
        return Picks(candidates.pool.ids)
    found = clusters_of(name, rows_of(candidates), rng, settings)
    clusters = found.clusters + 1  # noise is 0
    noise = clusters[:pool] == 0
    if settings.noise == "last" and 0 < noise.sum() < pool:
        inside = candidates.without(candidates.pool.ids[noise])
        first = random_of_clusters(inside, np.delete(clusters, np.flatnonzero(noise)), size, rng)
        more = rng.choice(candidates.pool.ids[noise], min(size - len(first.ids), int(noise.sum())), replace=False)
        ids = np.concatenate([first.ids, more])
        chances = np.concatenate([first.probabilities, np.full(len(more), len(more) / noise.sum())])
        picks = Picks(ids, probabilities=chances)
    else:
        picks = random_of_clusters(candidates, clusters, size, rng)
    return Picks(picks.ids, probabilities=picks.probabilities, note=f"{name}: {found}")


def clusters_of(name: str, x: Rows, rng: np.random.Generator, settings: DensitySettings) -> Found:
    """(N, D) -> clusters by "dbscan" or "optics".

    Of many images a random subset is clustered; each other one joins the cluster of its nearest in the subset, where
    that is within eps (optics without eps: always).
    """
    reduced = _reduced(x, settings, rng)
    subset = np.sort(rng.permutation(len(x))[: settings.max_images])
    y = reduced[subset]
    k = min(settings.min_points, len(y))
    index = NearestNeighbors(n_neighbors=k).fit(y)
    distances = np.sort(index.kneighbors(y)[0][:, -1].astype(np.float64))  # each image is its own first neighbour
    eps = _to_euclidean(settings.eps, settings.metric) or (elbow(distances) if name == "dbscan" else np.inf)
    if len(y) < max(2, settings.min_points):
        labels = np.full(len(y), NOISE)
    elif name == "dbscan":
        labels = DBSCAN(eps=eps, min_samples=settings.min_points).fit(y).labels_
    else:
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():  # of images that are equal
            warnings.simplefilter("ignore", UserWarning)  # all are noise: said in the note
            labels = OPTICS(max_eps=eps, min_samples=settings.min_points).fit(y).labels_
    clusters = np.full(len(x), NOISE, np.int64)
    clusters[subset] = labels
    rest = np.setdiff1d(np.arange(len(x)), subset, assume_unique=True)
    if len(rest):
        away, nearest = NearestNeighbors(n_neighbors=1).fit(y).kneighbors(reduced[rest])
        clusters[rest] = np.where(away[:, 0] <= eps, labels[nearest[:, 0]], NOISE)
    return Found(clusters, _in_metric(distances, settings.metric), float(_in_metric(eps, settings.metric)))


def elbow(distances: NDArray[np.float64]) -> float:
    """Of ascending distances the one farthest below the line from the first to the last; never 0.

    The study's way to find eps. Satopaa et al. 2011 call it the knee.
    """
    span = distances[-1] - distances[0]
    if len(distances) < 3 or span <= 0:
        return float(distances[-1]) or 1e-6
    line = np.linspace(0, 1, len(distances)) - (distances - distances[0]) / span
    return float(distances[int(line.argmax())]) or 1e-6


def _reduced(x: Rows, settings: DensitySettings, rng: np.random.Generator) -> Rows:
    """Principal components; for the cosine, rows of length one, whose distance is sqrt(2 - 2 cos)."""
    number = min(settings.components, *x.shape)
    if number < x.shape[1]:
        centered = x - x.mean(axis=0)
        x = centered @ randomized_svd(centered, number, random_state=int(rng.integers(2**31)))[2].T
    if settings.metric == "cosine":
        x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return np.asarray(x, np.float32)


def _to_euclidean(eps: float, metric: str) -> float:
    return float(np.sqrt(2 * eps)) if metric == "cosine" else eps


def _in_metric(distances: NDArray[np.float64] | float, metric: str) -> NDArray[np.float64]:
    found = np.asarray(distances, np.float64)
    return found**2 / 2 if metric == "cosine" else found
