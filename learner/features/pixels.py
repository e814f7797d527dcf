"""Embeddings straight from pixels: nothing to download, seconds for a hundred thousand images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from learner.data import ByteArray, ImageSet
from learner.features import BATCH, Extractor, FloatArray

SIDE = 16  # pixels a side that are kept
SAMPLE = 20_000  # images that principal components are fitted to


def low_size(images: ImageSet) -> tuple[int, int]:
    """(h, w) after the reduction: at most 16 a side."""
    height, width = images.pixels.shape[1:3]
    return min(height, SIDE), min(width, SIDE)


def low_resolution(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Area averages: (N, 3, H, W) -> (N, 3 * h * w)."""
    return adaptive_avg_pool2d(x, size).flatten(1)


def fit_pixels(images: ImageSet, components: int) -> Extractor:
    """Nothing to fit; `components` is not used. Values in [0, 1]."""
    size = low_size(images)

    def transform(pixels: ByteArray) -> FloatArray:
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        values: FloatArray = low_resolution(x, size).numpy()
        return values

    return transform


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Projection of low-resolution pixels onto the directions in which a set varies most."""

    pixels: Extractor
    size: tuple[int, int]  # (h, w) of the low resolution
    mean: FloatArray  # (3 * h * w,)
    components: FloatArray  # (D, 3 * h * w), orthonormal, largest variance first

    def __call__(self, pixels: ByteArray) -> FloatArray:
        centered: FloatArray = self.pixels(pixels) - self.mean
        return np.asarray(centered @ self.components.T, np.float32)


def fit_pca(images: ImageSet, components: int) -> PrincipalComponents:
    """Fitted to an even sample of at most 20,000 images. Constant images embed at the origin."""
    pixels = fit_pixels(images, components)
    step = -(-len(images) // SAMPLE)
    sample = images.ids[:: max(step, 1)]
    rows = [pixels(images.take(sample[i : i + BATCH])) for i in range(0, len(sample), BATCH)]
    values = np.concatenate(rows).astype(np.float64)
    mean = values.mean(axis=0)
    # At most 768 dimensions: the exact solution costs no more than a randomised one, and never varies.
    _, vectors = np.linalg.eigh((values - mean).T @ (values - mean))
    directions = _upright(vectors.T[::-1][:components])
    return PrincipalComponents(pixels, low_size(images), mean.astype(np.float32), directions)


def _upright(directions: Any) -> FloatArray:
    """The sign of a direction is arbitrary; its largest entry is made positive."""
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    return np.asarray(directions * signs[:, None], np.float32)
