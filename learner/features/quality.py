"""How good is an embedding? With labels: nearest neighbours and clusters against classes. Without: does it hold still?

The first are those of the study of 2021. The second need no label: what they are worth is measured in docs/features.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from learner.augment import AUGMENTATIONS
from learner.data import ImageSet, IntArray
from learner.device import generator
from learner.errors import BadSetting
from learner.features import Extractor, FloatArray

SILHOUETTE = 2000  # images: it looks at all pairs
STARTS = 10  # of k-means


@dataclass(frozen=True)
class Neighbors:
    """Accuracy of the k nearest of the training images, batch by batch of the test images."""

    mean: float
    std: float  # over batches


def knn_accuracy(
    train: FloatArray, classes: IntArray, test: FloatArray, test_classes: IntArray,
    k: int = 10, metric: str = "euclidean", batch: int = 100,
) -> Neighbors:  # fmt: skip
    """(N, D), (N,), (M, D), (M,) -> accuracy in [0, 1]. BadSetting for more neighbours than images."""
    if k > len(train):
        raise BadSetting(f"k is {k} with {len(train)} images; set a smaller k, or more images")
    right = KNeighborsClassifier(k, metric=metric).fit(train, classes).predict(test) == test_classes
    parts = [float(right[start : start + batch].mean()) for start in range(0, len(right), batch)]
    return Neighbors(float(right.mean()), float(np.std(parts, ddof=1)) if len(parts) > 1 else 0.0)


def clustering(x: FloatArray, classes: IntArray, number: int, seed: int = 0) -> dict[str, float]:
    """k-means against the classes, and the silhouette of its clusters: (N, D), (N,)."""
    found = _kmeans(x, number, seed, STARTS)
    homogeneity, completeness, v = metrics.homogeneity_completeness_v_measure(classes, found)
    return {
        "nmi": float(metrics.normalized_mutual_info_score(classes, found)),
        "homogeneity": float(homogeneity), "completeness": float(completeness), "v_measure": float(v),
        "ari": float(metrics.adjusted_rand_score(classes, found)),
        "ami": float(metrics.adjusted_mutual_info_score(classes, found)),
        "silhouette": silhouette(x, found, seed),
    }  # fmt: skip


def silhouette(x: FloatArray, clusters: IntArray, seed: int = 0) -> float:
    """In [-1, 1], over at most 2,000 images; 0 where there is one cluster, or as many as images."""
    rows = np.random.default_rng(seed).permutation(len(x))[:SILHOUETTE]
    number = len(np.unique(clusters[rows]))
    return float(metrics.silhouette_score(x[rows], clusters[rows])) if 1 < number < len(rows) else 0.0


def _kmeans(x: FloatArray, number: int, seed: int, starts: int) -> IntArray:
    with threadpool_limits(1, "openmp"):
        fitted = KMeans(min(number, len(x)), n_init=starts, init="random", random_state=seed).fit(x)
    return np.asarray(fitted.labels_, np.int64)


# Without labels. All are in [0, 1] or a little below, higher is better, and take (N, D) with a number of clusters.

Score = Callable[[FloatArray, int], float]


def agreement(x: FloatArray, number: int, runs: int = 6) -> float:
    """Mean adjusted Rand index between k-means from different single starts: do they find the same clusters?"""
    found = [_kmeans(x, number, seed, 1) for seed in range(runs)]
    pairs = [(i, j) for i in range(runs) for j in range(i)]
    return float(np.mean([metrics.adjusted_rand_score(found[i], found[j]) for i, j in pairs]))


def prediction_strength(x: FloatArray, number: int, splits: int = 5, k: int = 10) -> float:
    """Clusters of one half foretold to the other by nearest neighbours, against the other half's own clusters.

    Mean adjusted Rand index over splits; after Tibshirani & Walther 2005, who take the worst cluster's share.
    """
    scores = []
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(x))
        a, b = x[order[::2]], x[order[1::2]]
        told = KNeighborsClassifier(min(k, len(a))).fit(a, _kmeans(a, number, seed, 3)).predict(b)
        scores.append(metrics.adjusted_rand_score(told, _kmeans(b, number, seed, 3)))
    return float(np.mean(scores))


def own_silhouette(x: FloatArray, number: int) -> float:
    """Of the clusters that k-means finds."""
    return silhouette(x, _kmeans(x, number, 0, 3))


SCORES: dict[str, Score] = {
    "agreement": agreement, "prediction_strength": prediction_strength, "silhouette": own_silhouette,
}  # fmt: skip


def stability(x: FloatArray, images: ImageSet, fitted: Extractor, most: int = 500, k: int = 10) -> float:
    """How many of an image's k nearest among all are still there when it is shifted or turned a little: in [0, 1].

    `x` (N, D) is the embedding of all images; at most `most` of them, evenly spread, are looked at again.
    """
    rows = np.arange(len(x))[:: -(-len(x) // most)]
    pixels, _ = images.sized(images.ids[rows], fitted.side)
    way = AUGMENTATIONS["affine"]
    draws = generator(np.random.default_rng(0))
    seen = way(torch.from_numpy(pixels), draws, flip=images.flip).round().clamp(0, 255).to(torch.uint8).numpy()
    again = [fitted(seen[start : start + fitted.batch]) for start in range(0, len(seen), fitted.batch)]
    index = NearestNeighbors(n_neighbors=min(k, len(x) - 1) + 1).fit(x)
    before, after = (_others(index, values, rows) for values in (x[rows], np.concatenate(again)))
    shared = [len(np.intersect1d(one, other)) / len(one) for one, other in zip(before, after, strict=True)]
    return float(np.mean(shared))


def _others(index: NearestNeighbors, values: FloatArray, own: NDArray[np.int64]) -> list[IntArray]:
    """The nearest of each row without the image itself."""
    found = index.kneighbors(values, return_distance=False)
    return [near[near != row][: found.shape[1] - 1] for near, row in zip(found, own, strict=True)]
