"""How good is an embedding? With labels: nearest neighbours and clusters against classes. Without: does it hold still?

The first are those of the study of 2021. The second need no label: what they are worth is measured in docs/features.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from learner.augment import AUGMENTATIONS
from learner.data import ByteArray, ImageSet, IntArray
from learner.device import generator
from learner.errors import BadSetting
from learner.features import Extractor, FloatArray, extract

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
    return against(classes, x, _kmeans(x, number, seed, STARTS), seed)


def against(classes: IntArray, x: FloatArray, found: IntArray, seed: int = 0) -> dict[str, float]:
    """Any clusters against the classes, and their silhouette: (N,), (N, D), (N,); -1, noise, is one more cluster."""
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


@dataclass(frozen=True)
class Altered:
    """What an embedding makes of images that are turned, scaled and shifted a little. Both in [0, 1]."""

    recognition: float  # share of them that have their own original among the k nearest
    stability: float  # share of the k nearest other images that stay


def altered(images: ImageSet, fitted: Extractor, references: int = 1000, most: int = 300, k: int = 10) -> Altered:
    """Look at `most` images of the set altered, among at most `references` of them as they are.

    0 for one image. The same images, the same result: samples are even, draws fixed.
    """
    sample = images.only(images.ids[:: max(1, -(-len(images) // references))])
    if len(sample) < 2:
        return Altered(0.0, 0.0)
    rows = np.arange(len(sample))[:: max(1, -(-len(sample) // most))]
    pixels, _ = sample.sized(sample.ids[rows], fitted.side)
    draws = generator(np.random.default_rng(0))
    seen = AUGMENTATIONS["affine"](torch.from_numpy(pixels), draws, flip=images.flip)
    again = _embedded(fitted, seen.round().clamp(0, 255).to(torch.uint8).numpy())
    x = extract(fitted, sample)
    index = NearestNeighbors(n_neighbors=min(k, len(x) - 1) + 1).fit(x)
    before, after = (index.kneighbors(values, return_distance=False) for values in (x[rows], again))
    own = [row in near[:k] for near, row in zip(after, rows, strict=True)]
    pairs = zip(_others(before, rows), _others(after, rows), strict=True)
    return Altered(float(np.mean(own)), float(np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in pairs])))


def _embedded(fitted: Extractor, pixels: ByteArray) -> FloatArray:
    return np.concatenate([fitted(pixels[i : i + fitted.batch]) for i in range(0, len(pixels), fitted.batch)])


def _others(near: IntArray, own: IntArray) -> list[IntArray]:
    """The nearest of each row without the image itself."""
    return [found[found != row][: near.shape[1] - 1] for found, row in zip(near, own, strict=True)]
