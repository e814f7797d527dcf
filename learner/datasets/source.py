"""What a data set brings, and how a seed divides it."""

from dataclasses import dataclass

import numpy as np

from learner.config import DatasetSettings
from learner.data import ByteArray, ImageSet, IntArray
from learner.errors import DatasetError

KEPT = 0.1  # of a class that `modified` thins


@dataclass(frozen=True, eq=False)
class Part:
    """Images and their classes."""

    pixels: ByteArray  # (N, H, W, 3)
    classes: IntArray  # (N,) class indices


@dataclass(frozen=True, eq=False)
class Source:
    """A data set before any seed has divided it. DatasetError for a class that nothing could be learned of."""

    classes: tuple[str, ...]
    train: Part
    test: Part | None = None  # None: half of every class of `train` is held out, by the seed
    flip: bool = True

    def __post_init__(self) -> None:
        counts = np.bincount(self.train.classes, minlength=len(self.classes))
        if len(counts) < 2:
            raise DatasetError(
                f"a data set needs at least two classes; here is only {', '.join(self.classes) or 'none'}"
            )
        least = 2 if self.test is None else 1
        if counts.min() < least:
            why = "half of every class is held out for the test" if self.test is None else "they are what is learned"
            raise DatasetError(
                f"class {self.classes[counts.argmin()]!r} has {counts.min()} training images, and needs {least}: {why}"
            )
        if self.test is not None and not len(self.test.classes):
            raise DatasetError("the test part has no images; without them nothing can be measured")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with known classes, in two parts that share no image. Ids are the same in every split."""

    name: str
    classes: tuple[str, ...]
    train: ImageSet
    train_classes: IntArray  # (N,) of train.ids
    test: ImageSet
    test_classes: IntArray  # (M,) of test.ids


def divided(name: str, source: Source, settings: DatasetSettings, seed: int) -> Dataset:
    """Train and test of one seed. `modified` thins the training part only; the test stays as it is."""
    flip = source.flip if settings.flip is None else settings.flip
    train, test = _given(source) if source.test else _halves(source.train.classes, seed)
    if settings.modified:
        train = train[thinned(source.train.classes[train], seed)]
    held = source.test or source.train
    first = len(source.train.classes) if source.test else 0

    def images(part: Part, rows: IntArray, first: int = 0) -> ImageSet:
        return ImageSet(rows + first, part.pixels, rows, flip=flip)

    return Dataset(
        name, source.classes, images(source.train, train), source.train.classes[train],
        images(held, test, first), held.classes[test],
    )  # fmt: skip


def thinned(classes: IntArray, seed: int) -> IntArray:
    """Positions that stay when half of the classes (rounded down) keep a tenth of their images, at least one.

    (N,) class indices -> (n,) increasing. Which half and which images depend on the seed alone.
    """
    rng = np.random.default_rng([seed, *b"modified"])
    found = np.unique(classes)
    gone = []
    for label in rng.permutation(found)[: len(found) // 2]:
        members = rng.permutation(np.flatnonzero(classes == label))
        gone.append(members[max(1, round(KEPT * len(members))) :])
    return np.setdiff1d(np.arange(len(classes)), np.concatenate(gone))


def _given(source: Source) -> tuple[IntArray, IntArray]:
    """All rows of both parts."""
    tested = source.test.classes if source.test else ()
    return np.arange(len(source.train.classes)), np.arange(len(tested))


def _halves(classes: IntArray, seed: int) -> tuple[IntArray, IntArray]:
    """Half of every class trains, the other half is the test; which half depends on the seed."""
    from sklearn.model_selection import train_test_split

    halves = train_test_split(np.arange(len(classes)), test_size=0.5, stratify=classes, random_state=seed)
    train, test = (np.sort(half).astype(np.int64) for half in halves)
    return train, test
