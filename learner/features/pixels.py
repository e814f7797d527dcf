"""Embeddings straight from pixels: nothing to download, seconds for a hundred thousand images."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from learner.config import PcaFeatures, PixelFeatures
from learner.data import ByteArray, ImageSet
from learner.features import FloatArray, Report
from learner.models.head import PixelHead, low_resolution

SIDE = 16  # pixels a side that principal components see
SAMPLE = 20_000  # images that principal components are fitted to


def low_size(images: ImageSet, side: int = SIDE) -> tuple[int, int]:
    """(h, w) after the reduction: at most `side` each."""
    height, width = images.pixels.shape[1:3]
    return min(height, side), min(width, side)


@dataclass(frozen=True, eq=False)
class LowResolution:
    """Values in [0, 1]: (n, H, W, 3) uint8 -> (n, 3 * h * w)."""

    size: tuple[int, int]  # (h, w)
    side: int | None = None
    batch: int = 1024
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return 3 * self.size[0] * self.size[1]

    def __call__(self, pixels: ByteArray) -> FloatArray:
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        values: FloatArray = low_resolution(x, self.size).numpy()
        return values

    def net(self, num_classes: int, hidden: int, dropout: float) -> PixelHead:
        net = PixelHead(num_classes, self.size, self.width, hidden, dropout)
        net.components.copy_(torch.eye(self.width))
        return net


def fit_pixels(images: ImageSet, argument: str, settings: PixelFeatures, report: Report) -> LowResolution:
    """Nothing to fit."""
    return LowResolution(low_size(images, settings.size))


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Projection of low-resolution pixels onto the directions in which a set varies most."""

    pixels: LowResolution
    mean: FloatArray  # (3 * h * w,)
    components: FloatArray  # (D, 3 * h * w), orthonormal, largest variance first
    side: int | None = None
    batch: int = 1024
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return len(self.components)

    def __call__(self, pixels: ByteArray) -> FloatArray:
        centered: FloatArray = self.pixels(pixels) - self.mean
        return np.asarray(centered @ self.components.T, np.float32)

    def net(self, num_classes: int, hidden: int, dropout: float) -> PixelHead:
        net = PixelHead(num_classes, self.pixels.size, self.width, hidden, dropout)
        net.mean.copy_(torch.from_numpy(self.mean))
        net.components.copy_(torch.from_numpy(self.components))
        return net


def fit_pca(images: ImageSet, argument: str, settings: PcaFeatures, report: Report) -> PrincipalComponents:
    """Fitted to an even sample of at most 20,000 images. Constant images embed at the origin."""
    pixels = LowResolution(low_size(images))
    step = -(-len(images) // SAMPLE)
    sample = images.ids[:: max(step, 1)]
    rows = [pixels(images.take(sample[i : i + pixels.batch])) for i in range(0, len(sample), pixels.batch)]
    values = np.concatenate(rows).astype(np.float64)
    mean = values.mean(axis=0)
    # At most 768 dimensions: the exact solution costs no more than a randomised one, and never varies.
    _, vectors = np.linalg.eigh((values - mean).T @ (values - mean))
    directions = _upright(vectors.T[::-1][: settings.components])
    return PrincipalComponents(pixels, mean.astype(np.float32), directions)


def _upright(directions: Any) -> FloatArray:
    """The sign of a direction is arbitrary; its largest entry is made positive."""
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    return np.asarray(directions * signs[:, None], np.float32)
