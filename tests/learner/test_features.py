"""Embeddings against scikit-learn's PCA and against averages of squares."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from learner.config import BackboneFeatures
from learner.data import ImageSet
from learner.errors import BadSetting, UnknownName
from learner.features import Features, embed, extract, extractor, parse, pixels


def some_images(number: int, side: tuple[int, int] = (12, 10)) -> ImageSet:
    return ImageSet.of(np.random.default_rng(0).integers(0, 256, (number, *side, 3)).astype(np.uint8))


def test_principal_components_are_those_of_scikit_learn():
    images = some_images(100)
    flat = images.pixels.transpose(0, 3, 1, 2).reshape(100, -1) / 255
    expected = PCA(8, svd_solver="full").fit_transform(flat)
    assert embed(images, parse("pca", components=8)) == pytest.approx(expected, abs=1e-4)


def test_low_resolution_averages_squares():
    images = some_images(3, (64, 32))
    squares = images.pixels.reshape(3, 16, 4, 16, 2, 3).mean(axis=(2, 4)) / 255
    assert embed(images, parse("pixels")) == pytest.approx(squares.transpose(0, 3, 1, 2).reshape(3, -1), abs=1e-5)


@pytest.mark.parametrize("name", ["pixels", "pca", "timm:test_resnet.r160_in1k@16"])
@pytest.mark.parametrize("number", [1, 2, 30])
@pytest.mark.parametrize("value", [0, 255, None])
def test_one_image_and_constant_images_embed_to_finite_numbers(name, number, value):
    images = some_images(number)
    if value is not None:
        images.pixels[:] = value
    embedding = embed(images, parse(name, weights="random"))
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


@pytest.mark.parametrize("text", ["dino", "pca:3", "timm", "timm:", "pca@what"])
def test_unknown_features_name_the_known(text):
    with pytest.raises(UnknownName, match=r"choose from pixels, pca, timm:NAME"):
        parse(text)


def test_a_text_says_everything_of_a_backbone():
    found = parse("timm:a.b@224@raw@token", weights="w.safetensors", components=3)
    assert found == Features("timm", "a.b", BackboneFeatures(224, False, "token", True, "w.safetensors"))


def test_a_setting_that_the_features_lack_is_refused():
    with pytest.raises(BadSetting, match="unknown setting 'pool' for PcaFeatures"):
        parse("pca@token")
