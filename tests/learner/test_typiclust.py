"""Typiclust against what can be said of blobs, and typicality against brute force."""

import numpy as np
import torch

from learner.acquisition.candidates import Candidates, Side
from learner.acquisition.clustering import pick_in_turn
from learner.acquisition.settings import TypiclustSettings
from learner.acquisition.typiclust import select_typiclust, typicality

SIZES = [40, 30, 20, 12, 3]  # of the blobs, the last below min_cluster


def blobs() -> tuple[torch.Tensor, np.ndarray]:
    """Points of five far blobs, and the blob of each."""
    rng = np.random.default_rng(0)
    where = np.repeat(np.arange(len(SIZES)), SIZES)
    return torch.from_numpy((100 * np.eye(5)[where] + rng.normal(size=(len(where), 5))).astype(np.float32)), where


def picks(size: int, labeled: list[int] | None = None, seed: int = 0) -> tuple[list[int], np.ndarray]:
    """Ids that are asked, and their blobs."""
    points, where = blobs()
    known = np.array(labeled or [], np.int64)
    pool = np.setdiff1d(np.arange(len(points)), known)
    sides = [Side(ids, embedding=points[torch.from_numpy(ids)]) for ids in (pool, known)]
    chosen = select_typiclust(Candidates(*sides, 5), size, np.random.default_rng(seed), TypiclustSettings())
    return chosen.ids.tolist(), where[chosen.ids]


def test_each_cluster_is_asked_once_and_the_largest_first():
    assert picks(4, [102])[1].tolist() == [0, 1, 2, 3]


def test_the_most_typical_image_of_a_cluster_is_asked():
    points, where = blobs()
    for chosen, blob in zip(*picks(4, [102]), strict=True):
        members = points[torch.from_numpy(where == blob)]
        near = torch.cdist(points[[chosen]], members).sort().values[0, 1:21].mean()
        assert near <= torch.cdist(members, members).sort().values[:, 1:21].mean(dim=1).min() + 1e-2


def test_clusters_with_labels_come_last():
    first = [0, 40, 90, 102]  # blobs 0, 1, 3 and 4
    assert picks(1, first)[1].tolist() == [2]


def test_a_small_cluster_counts_as_labeled_once():
    points, where = blobs()
    clusters = np.concatenate([where, [0, 1, 2, 3]])  # each of the large ones has a label
    x = points.numpy()[[*range(105), 0, 40, 70, 90]]
    order, _ = pick_in_turn(clusters, 105, 9, np.random.default_rng(0), lambda members: typicality(x[members], 20), 5)
    assert where[order].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3]


def test_a_labeled_image_is_never_asked_again():
    first, _ = picks(20)
    assert not set(first) & set(picks(20, first)[0])


def test_typicality_is_one_over_the_mean_distance_to_the_nearest():
    x = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    distances = np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1)[:, 1:6]
    assert np.allclose(typicality(x, 5), 1 / (distances.mean(axis=1) + 1e-5), rtol=1e-4)


def test_typicality_of_equal_and_of_lonely_images_is_finite():
    assert np.isfinite(typicality(np.ones((5, 3), np.float32), 20)).all()
    assert typicality(np.ones((1, 3), np.float32), 20).tolist() == [0]
