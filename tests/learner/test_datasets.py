"""Benchmark sets: every row of DATASETS, and the digits against scikit-learn's."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from learner.datasets import DATASETS, digits_images


@pytest.mark.parametrize("name", DATASETS)
def test_train_and_test_share_no_image_and_follow_the_seed(name):
    build = DATASETS[name].load()
    first, again, other = build(1), build(1), build(2)
    assert not set(first.train.ids.tolist()) & set(first.test.ids.tolist())
    assert first.train.ids.tolist() == again.train.ids.tolist() != other.train.ids.tolist()
    assert len(first.train_classes) == len(first.train)
    assert len(first.test_classes) == len(first.test)


def test_the_digits_are_scikit_learns_in_bytes():
    data = load_digits()
    pixels, classes = digits_images()
    assert (pixels / 255 * 16).round().astype(int).tolist() == data.images.astype(int).tolist()
    assert classes.tolist() == data.target.tolist()


def test_half_of_every_digit_is_held_out_and_none_is_mirrored():
    digits = DATASETS["digits"].load()(0)
    counts = [np.bincount(classes) for classes in (digits.train_classes, digits.test_classes)]
    assert np.abs(counts[0] - counts[1]).max() <= 1
    assert not digits.train.flip
    assert digits_images()[1][digits.test.ids].tolist() == digits.test_classes.tolist()
    assert (digits.train.take(digits.train.ids[:3])[..., 0] == digits_images()[0][digits.train.ids[:3]]).all()
