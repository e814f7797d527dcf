"""DATASETS: benchmark sets whose classes are known. A row is `build(seed) -> Dataset`."""

from dataclasses import dataclass

import numpy as np

from learner.config import NoSettings
from learner.data import ByteArray, ImageSet, IntArray
from learner.registry import Row

DATASETS: dict[str, Row] = {
    "digits": Row(
        "1,797 handwritten digits of 8 x 8 pixels, inside scikit-learn; half held out",
        NoSettings, "learner.datasets:digits",
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with known classes, in two parts that share no image. Ids are the same in every split."""

    name: str
    classes: tuple[str, ...]
    train: ImageSet
    train_classes: IntArray  # (N,) of train.ids
    test: ImageSet
    test_classes: IntArray  # (M,) of test.ids


def digits_images() -> tuple[ByteArray, IntArray]:
    """All of scikit-learn's digits: (1797, 8, 8) uint8 from black to white, and their classes (1797,)."""
    from sklearn.datasets import load_digits

    data, classes = load_digits(return_X_y=True)
    pixels = np.rint(data.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return pixels, classes.astype(np.int64)


def digits(seed: int) -> Dataset:
    """Half of every class trains, the other half is the test; which half depends on the seed."""
    from sklearn.model_selection import train_test_split

    grey, classes = digits_images()
    pixels = np.repeat(grey[..., None], 3, axis=-1)
    halves = train_test_split(np.arange(len(grey)), test_size=0.5, stratify=classes, random_state=seed)
    train, test = (np.sort(half).astype(np.int64) for half in halves)
    names = tuple(str(digit) for digit in range(10))

    def part(ids: IntArray) -> ImageSet:
        return ImageSet(ids, pixels, ids, flip=False)

    return Dataset("digits", names, part(train), classes[train], part(test), classes[test])
