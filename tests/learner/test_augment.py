"""Augmentation of a batch against slices of each image, and against SciPy's interpolation."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from learner.augment import affine, affine_matrices, weak


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


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def in_pixels(side: tuple[int, int], flip: bool, number: int = 500) -> np.ndarray:
    """(number, 2, 3): the matrices, from (x, y) in pixels of the output to pixels of the source, about the middle."""
    height, width = side
    half = np.array([width / 2, height / 2])
    matrices = affine_matrices(number, side, seeded(), flip=flip).numpy().astype(float)
    return matrices * half[:, None] / np.array([*half, 1])


@pytest.mark.parametrize("side", [(8, 8), (9, 14)])
def test_affine_looks_up_every_pixel_where_its_matrix_says(side):
    images = np.random.default_rng(0).integers(0, 256, (20, *side, 3)).astype(np.uint8)
    found = affine(torch.from_numpy(images), seeded(), flip=True).numpy()
    middle = (np.array(side)[::-1, None] - 1) / 2  # x, y
    rows, columns = np.mgrid[: side[0], : side[1]]
    there = np.stack([columns.ravel(), rows.ravel()]) - middle
    for image, matrix, moved in zip(images, in_pixels(side, True, 20), found, strict=True):
        x, y = matrix[:, :2] @ there + matrix[:, 2:] + middle
        for channel in range(3):
            expected = map_coordinates(image[..., channel].astype(float), [y, x], order=1, mode="nearest")
            assert np.allclose(moved[..., channel].ravel(), expected, atol=0.05)


@pytest.mark.parametrize("side", [(8, 8), (10, 20)])
def test_affine_turns_scales_and_shifts_within_its_bounds_and_never_shears(side):
    matrices = in_pixels(side, flip=False)
    linear, shift = matrices[:, :, :2], matrices[:, :, 2] / np.array(side[::-1])
    scale = np.sqrt(np.linalg.det(linear))
    assert np.allclose(linear @ linear.transpose(0, 2, 1), scale[:, None, None] ** 2 * np.eye(2), atol=1e-5)
    turn = np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    for values, bound in ((turn, 15), (1 / scale - 1, 0.15), (shift[:, 0], 0.06), (shift[:, 1], 0.06)):
        assert 0.95 * bound < np.abs(values).max() <= bound * (1 + 1e-4)
        assert abs(values.mean()) < 0.1 * bound


def test_affine_mirrors_half_of_the_images_that_may_be_mirrored():
    mirrored = np.linalg.det(in_pixels((8, 8), flip=True)[:, :, :2]) < 0
    assert math.isclose(mirrored.mean(), 0.5, abs_tol=0.1)
