"""Data that comes with a dependency."""

import numpy as np

from learner.config import DatasetSettings
from learner.data import ByteArray, IntArray
from learner.datasets.source import Part, Source


def digits_images() -> tuple[ByteArray, IntArray]:
    """All of scikit-learn's digits: (1797, 8, 8) uint8 from black to white, and their classes (1797,)."""
    from sklearn.datasets import load_digits

    data, classes = load_digits(return_X_y=True)
    pixels = np.rint(data.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return pixels, classes.astype(np.int64)


def digits(argument: str, settings: DatasetSettings) -> Source:
    """The digits 0 to 9. A mirrored digit is none."""
    grey, classes = digits_images()
    pixels = np.repeat(grey[..., None], 3, axis=-1)
    return Source(tuple(str(digit) for digit in range(10)), Part(pixels, classes), flip=False)
