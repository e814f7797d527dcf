"""Scores of embeddings: against scikit-learn, on clusters that are there and on noise."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from learner.data import ImageSet
from learner.errors import BadSetting
from learner.features import embed, extractor, parse, quality

NOISE = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
CLASSES = np.arange(300) % 3
GROUPS = (0.1 * NOISE + 5 * np.eye(8)[CLASSES]).astype(np.float32)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbours_are_those_of_scikit_learn_batch_by_batch(metric):
    digits = load_digits()
    x, y = digits.data.astype(np.float32), digits.target
    found = quality.knn_accuracy(x[:900], y[:900], x[900:], y[900:], 10, metric, 100)
    theirs = KNeighborsClassifier(10, metric=metric).fit(x[:900], y[:900])
    assert found.mean == pytest.approx(theirs.score(x[900:], y[900:]))
    batches = [theirs.score(x[i : i + 100], y[i : i + 100]) for i in range(900, 1797, 100)]
    assert found.std == pytest.approx(np.std(batches, ddof=1))


def test_more_neighbours_than_images_are_refused():
    with pytest.raises(BadSetting, match="k is 10 with 5 images"):
        quality.knn_accuracy(NOISE[:5], CLASSES[:5], NOISE, CLASSES)


def test_clusters_that_are_the_classes_score_one_and_noise_scores_nothing():
    found = quality.clustering(GROUPS, CLASSES, 3)
    for name in ("nmi", "homogeneity", "completeness", "v_measure", "ari", "ami"):
        assert found[name] == pytest.approx(1)
    assert found["silhouette"] == pytest.approx(metrics.silhouette_score(GROUPS, CLASSES), abs=1e-6)
    assert abs(quality.clustering(NOISE, CLASSES, 3)["ari"]) < 0.05


@pytest.mark.parametrize("name", quality.SCORES)
def test_without_labels_groups_score_higher_than_noise(name):
    score = quality.SCORES[name]
    assert score(GROUPS, 3) > 0.8 > 0.6 > score(NOISE, 3)


def test_neighbours_hold_still_where_the_embedding_does():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 12, 12, 3)).astype(np.uint8)
    images = ImageSet.of(pixels)
    fitted = extractor(images, parse("pixels"))

    class Mean:
        """Turned and shifted, an image of one colour stays what it is."""

        side, batch, about, width = None, 16, {}, 3

        def __call__(self, x):
            return x.reshape(len(x), -1, 3).mean(axis=1).astype(np.float32)

    plain = ImageSet.of(np.broadcast_to(pixels[:, :1, :1], pixels.shape).copy())
    assert quality.altered(plain, Mean()) == quality.Altered(1, 1)
    noisy = quality.altered(images, fitted)
    assert noisy.stability < 0.7
    assert noisy.recognition < 1


def test_an_embedding_that_forgets_the_image_does_not_recognise_it():
    """What is the same for all images has any of them among its nearest."""
    images = ImageSet.of(np.random.default_rng(0).integers(0, 256, (200, 12, 12, 3)).astype(np.uint8))

    class Random:
        side, batch, about, width = None, 64, {}, 4

        def __call__(self, x):
            return np.random.default_rng(int(x.sum())).normal(size=(len(x), 4)).astype(np.float32)

    assert quality.altered(images, Random()).recognition == pytest.approx(10 / 200, abs=0.06)
    assert quality.altered(images.only(np.array([3])), Random()) == quality.Altered(0, 0)


@pytest.mark.parametrize("text", ["autoencoder", "dec:3"])
def test_an_autoencoder_keeps_what_the_images_are_and_can_be_saved(text, monkeypatch):
    pixels = np.zeros((90, 8, 8, 3), np.uint8)
    classes = np.arange(90) % 3
    pixels[np.arange(90), 2 * classes + 1] = 255  # a line, higher or lower
    pixels = (pixels * 0.8 + np.random.default_rng(0).integers(0, 50, pixels.shape)).astype(np.uint8)
    images, features = ImageSet.of(pixels, flip=False), parse(text, steps=60, sharpening=60, dimensions=6)
    x = embed(images, features)
    assert quality.knn_accuracy(x[:60], classes[:60], x[60:], classes[60:], 3).mean == 1
    net = extractor(images, features).net(3, 0, 0.3).eval()
    assert net.embed(quality.torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).detach().numpy() == pytest.approx(
        x, abs=1e-4
    )


def test_the_same_images_give_the_same_autoencoder():
    images = ImageSet.of(np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype(np.uint8))
    first = embed(images, parse("autoencoder", steps=5))
    images.memo.clear()
    assert (embed(images, parse("autoencoder", steps=5)) == first).all()


@pytest.mark.parametrize("text", ["dec:1", "dec:many", "dec:1000"])
def test_dec_wants_a_number_of_clusters(text):
    images = ImageSet.of(np.zeros((20, 8, 8, 3), np.uint8))
    with pytest.raises(BadSetting, match="wants a number of clusters from 2 to 20"):
        embed(images, parse(text))


def test_sharpened_assignments_are_those_of_the_paper():
    from learner.features.autoencoder import assigned, sharpened

    x = quality.torch.from_numpy(NOISE[:20])
    centroids = x[:4]
    q = 1 / (1 + ((NOISE[:20, None] - NOISE[None, :4]) ** 2).sum(axis=2))
    q /= q.sum(axis=1, keepdims=True)
    assert assigned(x, centroids).numpy() == pytest.approx(q, abs=1e-5)
    p = q**2 / q.sum(axis=0)
    assert sharpened(assigned(x, centroids)).numpy() == pytest.approx(p / p.sum(axis=1, keepdims=True), abs=1e-5)
