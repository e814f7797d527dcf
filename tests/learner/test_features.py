"""Embeddings against scikit-learn's PCA and against averages of squares."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from learner.data import ImageSet
from learner.errors import UnknownName
from learner.features import FEATURES, embed, extract, extractor, pixels


def some_images(number: int, side: tuple[int, int] = (12, 10)) -> ImageSet:
    return ImageSet.of(np.random.default_rng(0).integers(0, 256, (number, *side, 3)).astype(np.uint8))


def test_principal_components_are_those_of_scikit_learn():
    images = some_images(100)
    flat = images.pixels.transpose(0, 3, 1, 2).reshape(100, -1) / 255
    expected = PCA(8, svd_solver="full").fit_transform(flat)
    assert embed(images, "pca", 8) == pytest.approx(expected, abs=1e-4)


def test_low_resolution_averages_squares():
    images = some_images(3, (64, 32))
    squares = images.pixels.reshape(3, 16, 4, 16, 2, 3).mean(axis=(2, 4)) / 255
    assert embed(images, "pixels") == pytest.approx(squares.transpose(0, 3, 1, 2).reshape(3, -1), abs=1e-5)


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("number", [1, 2, 30])
@pytest.mark.parametrize("value", [0, 255, None])
def test_one_image_and_constant_images_embed_to_finite_numbers(name, number, value):
    images = some_images(number)
    if value is not None:
        images.pixels[:] = value
    embedding = embed(images, name)
    assert embedding.shape[0] == number
    assert embedding.dtype == np.float32
    assert np.isfinite(embedding).all()


def test_rows_follow_the_ids_and_are_kept_with_the_set():
    images = some_images(50)
    assert embed(images) is embed(images)
    some = images.only(np.array([3, 7, 40]))
    assert extract(extractor(images), some) == pytest.approx(embed(images)[[3, 7, 40]], abs=1e-5)


def test_many_images_are_fitted_on_a_sample(monkeypatch):
    monkeypatch.setattr(pixels, "SAMPLE", 30)
    images = some_images(100)
    assert extractor(images).mean == pytest.approx(
        images.pixels[::4].transpose(0, 3, 1, 2).reshape(25, -1).mean(axis=0) / 255, abs=1e-5
    )
    assert embed(images).shape == (100, 64)


def test_an_unknown_extractor_names_the_known():
    with pytest.raises(UnknownName, match="pixels, pca"):
        embed(some_images(3), "dino")
