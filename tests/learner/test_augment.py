"""Augmentation of a batch against slices of each image."""

import numpy as np
import torch

from learner.augment import weak


def views(image: np.ndarray, flip: bool) -> list[bytes]:
    """Every shift of one image by up to an eighth of its side, and their mirror images."""
    height, width = image.shape[:2]
    down, right = max(1, round(height / 8)), max(1, round(width / 8))
    padded = np.pad(image, [(down, down), (right, right), (0, 0)], mode="reflect")
    crops = [padded[y : y + height, x : x + width] for y in range(2 * down + 1) for x in range(2 * right + 1)]
    return [crop.tobytes() for crop in crops + ([crop[:, ::-1] for crop in crops] if flip else [])]


def batch(side: tuple[int, int], number: int = 400) -> np.ndarray:
    """Copies of one image without any symmetry."""
    image = np.random.default_rng(0).integers(0, 256, (*side, 3)).astype(np.uint8)
    return np.repeat(image[None], number, axis=0)


def augmented(images: np.ndarray, flip: bool, seed: int = 0) -> list[bytes]:
    out = weak(torch.from_numpy(images), torch.Generator().manual_seed(seed), flip=flip)
    assert out.dtype == torch.uint8
    return [image.tobytes() for image in out.numpy()]


def test_every_image_gets_a_shift_of_its_own_and_all_shifts_occur():
    images = batch((8, 8))
    assert set(augmented(images, flip=False)) == set(views(images[0], flip=False))


def test_images_that_may_be_mirrored_are_half_of_the_time():
    images = batch((8, 8))
    seen = augmented(images, flip=True)
    straight = set(views(images[0], flip=False))
    assert set(seen) == set(views(images[0], flip=True))
    assert 150 < sum(view in straight for view in seen) < 250


def test_a_larger_image_shifts_by_an_eighth_of_each_side():
    images = batch((16, 24), number=2000)
    assert set(augmented(images, flip=False)) == set(views(images[0], flip=False))


def test_the_seed_decides():
    images = batch((8, 8))
    assert augmented(images, flip=True, seed=1) == augmented(images, flip=True, seed=1)
    assert augmented(images, flip=True, seed=1) != augmented(images, flip=True, seed=2)
