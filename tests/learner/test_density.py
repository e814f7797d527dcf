"""DBSCAN and OPTICS as strategies: the clusters are scikit-learn's, noise is said, eps comes from the elbow."""

import numpy as np
import pytest
import torch
from sklearn.cluster import DBSCAN, OPTICS

from learner.acquisition import STRATEGIES
from learner.acquisition.candidates import Candidates, Side
from learner.acquisition.density import NOISE, clusters_of, elbow
from learner.acquisition.settings import DensitySettings, OpticsSettings

SETTINGS = {"dbscan": DensitySettings, "optics": OpticsSettings}
both = pytest.mark.parametrize("name", SETTINGS)


def points(noise: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Three groups of 40 and lonely images, and the group of each."""
    rng = np.random.default_rng(0)
    centers = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    x = np.concatenate([np.repeat(centers, 40, axis=0) + 0.05 * rng.normal(size=(120, 4)),
                        3 * rng.normal(size=(noise, 4))])  # fmt: skip
    return x.astype(np.float32), np.concatenate([np.repeat([0, 1, 2], 40), np.full(noise, NOISE)])


def ask(name: str, x: np.ndarray, size: int, seed: int = 0, **values):
    side = Side(np.arange(len(x)), embedding=torch.from_numpy(x))
    given = Candidates(side, side.only(np.zeros(len(x), bool)), 3)
    return STRATEGIES[name].load()(given, size, np.random.default_rng(seed), SETTINGS[name](**values))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_groups_are_found(metric):
    x, groups = points()
    settings = DensitySettings(metric=metric, eps=0.5 if metric == "euclidean" else 0.1, min_points=10)
    found = clusters_of("dbscan", x, np.random.default_rng(0), settings).clusters
    for group in range(3):
        inside = found[groups == group]
        assert (inside == np.bincount(inside[inside != NOISE]).argmax()).mean() > 0.8


@pytest.mark.parametrize(("metric", "eps"), [("euclidean", 0.5), ("cosine", 0.02)])
def test_the_clusters_are_those_of_scikit_learn_in_that_metric(metric, eps):
    x, _ = points()
    found = clusters_of("dbscan", x, np.random.default_rng(0), DensitySettings(metric=metric, eps=eps))
    theirs = DBSCAN(eps=eps, min_samples=5, metric=metric).fit(x)
    assert found.clusters.tolist() == theirs.labels_.tolist()
    assert found.eps == pytest.approx(eps)


@pytest.mark.parametrize("eps", [0.0, 0.5])
def test_optics_is_that_of_scikit_learn(eps):
    x, _ = points()
    found = clusters_of("optics", x, np.random.default_rng(0), OpticsSettings(metric="euclidean", eps=eps))
    theirs = OPTICS(max_eps=eps or np.inf, min_samples=5).fit(x)
    assert found.clusters.tolist() == theirs.labels_.tolist()
    assert len(found.sizes) > 1


def test_optics_by_the_cosine_is_that_of_scikit_learn_on_rows_of_length_one():
    x, _ = points()
    found = clusters_of("optics", x, np.random.default_rng(0), OpticsSettings(metric="cosine"))
    theirs = OPTICS(min_samples=5).fit(x / np.linalg.norm(x, axis=1, keepdims=True))
    assert found.clusters.tolist() == theirs.labels_.tolist()


def test_optics_by_the_cosine_comes_near_that_of_scikit_learns_own_distance():
    """Theirs is half the square of ours: the order is the same, but steepness, which bounds clusters, is another."""
    x, _ = points()
    found = clusters_of("optics", x, np.random.default_rng(0), OpticsSettings(metric="cosine", min_points=2))
    theirs = OPTICS(min_samples=2, metric="cosine").fit(x)
    assert (found.clusters == NOISE).mean() == pytest.approx((theirs.labels_ == NOISE).mean(), abs=0.2)
    assert len(found.sizes) == pytest.approx(theirs.labels_.max() + 1, rel=0.3)


def test_the_elbow_is_where_distances_begin_to_rise():
    distances = np.concatenate([np.linspace(0.1, 0.2, 90), np.linspace(0.3, 5, 10)])
    assert elbow(distances) == pytest.approx(0.2)
    assert elbow(np.full(10, 0.7)) == 0.7
    assert elbow(np.zeros(10)) > 0


def test_distances_are_sorted_and_those_to_the_kth_neighbour():
    x, _ = points()
    found = clusters_of("dbscan", x, np.random.default_rng(0), DensitySettings(metric="euclidean", min_points=4))
    away = np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1)[:, 3]
    assert found.distances == pytest.approx(np.sort(away), abs=1e-4)


@both
def test_noise_comes_last_or_as_a_cluster_of_its_own(name):
    x, groups = points()
    values = {"metric": "euclidean", "eps": 0.5, "min_points": 10}
    last = ask(name, x, 100, noise="last", **values)
    own = ask(name, x, 100, noise="cluster", **values)
    assert (groups[own.ids] == NOISE).any()
    found = clusters_of(name, x, np.random.default_rng(0), SETTINGS[name](**values)).clusters
    inside = (found != NOISE).sum()
    assert (found[last.ids][:inside] != NOISE).all()
    assert f"{int((found == NOISE).sum())} of 132 images are noise" in last.note


def test_probabilities_are_those_of_a_draw_in_each_cluster():
    x, groups = points(noise=0)
    counts = np.zeros(120)
    for seed in range(200):
        picks = ask("dbscan", x, 12, seed, metric="euclidean", eps=0.5)
        assert picks.probabilities == pytest.approx([0.1] * 12)
        assert np.bincount(groups[picks.ids]).tolist() == [4, 4, 4]
        counts[picks.ids] += 1
    assert counts.mean() / 200 == pytest.approx(0.1)


@both
def test_of_many_images_a_subset_is_clustered_and_the_others_join(name):
    x, _ = points()
    settings = SETTINGS[name](metric="euclidean", eps=0.5, min_points=5, max_images=80)
    found = clusters_of(name, x, np.random.default_rng(0), settings).clusters
    whole = clusters_of("dbscan", x, np.random.default_rng(0), DensitySettings(metric="euclidean", eps=0.5)).clusters
    assert ((found == NOISE) == (whole == NOISE)).mean() > (0.9 if name == "dbscan" else 0.6)


def test_no_cluster_at_all_is_said():
    picks = ask("dbscan", 100 * np.eye(20, dtype=np.float32), 5, metric="euclidean", eps=0.1)
    assert len(picks.ids) == 5
    assert "no clusters, 20 of 20 images are noise" in picks.note
