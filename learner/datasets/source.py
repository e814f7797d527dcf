"""What a data set brings, and how a seed divides it."""

from collections.abc import Sequence
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
    test: Part | None = None  # None: a part of every class of `train` is held out, by the seed
    flip: bool = True
    held: float = 0.5  # how much of it: a share below 1, or a number of images

    def __post_init__(self) -> None:
        counts = np.bincount(self.train.classes, minlength=len(self.classes))
        if len(counts) < 2:
            raise DatasetError(
                f"a data set needs at least two classes; here is only {', '.join(self.classes) or 'none'}"
            )
        least = 2 if self.test is None else 1
        if counts.min() < least:
            why = "a part of every class is held out for the test" if self.test is None else "they are what is learned"
            raise DatasetError(
                f"class {self.classes[counts.argmin()]!r} has {counts.min()} training images, and needs {least}: {why}"
            )
        if self.test is not None and not len(self.test.classes):
            raise DatasetError("the test part has no images; without them nothing can be measured")


def mirrored(classes: Sequence[str]) -> bool:
    """Does a mirrored image keep its class, as far as their names tell? Digits do not."""
    return not all(len(name) == 1 and name.isdigit() for name in classes)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with known classes, in two parts that share no image. Ids are the same in every split."""

    name: str
    classes: tuple[str, ...]
    train: ImageSet
    train_classes: IntArray  # (N,) of train.ids
    test: ImageSet
    test_classes: IntArray  # (M,) of test.ids
    keep_right: bool = False  # do rows say of each test image whether the model was right?


def divided(name: str, source: Source, settings: DatasetSettings, seed: int) -> Dataset:
    """Train and test of one seed. `modified` and `longtail` thin the training part only; the test stays as it is."""
    flip = source.flip if settings.flip is None else settings.flip
    train, test = _given(source) if source.test else _held_out(source.train.classes, source.held, seed)
    if settings.modified and settings.longtail:
        raise DatasetError(f"{name}: a set is @modified or has a @longtail, not both")
    if settings.modified:
        train = train[thinned(source.train.classes[train], seed)]
    if settings.longtail:
        train = train[tailed(source.train.classes[train], settings.longtail, seed)]
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


def tailed(classes: IntArray, ratio: float, seed: int) -> IntArray:
    """Positions that stay when class sizes fall exponentially from the largest to a `ratio`-th of it, at least one.

    (N,) class indices -> (n,) increasing. The seed draws which class has which place and which images stay; a class
    that is smaller than its place allows stays as it is. Cui et al. 2019.
    """
    rng = np.random.default_rng([seed, *b"longtail"])
    found, counts = np.unique(classes, return_counts=True)
    kept = []
    for place, label in enumerate(rng.permutation(found)):
        size = max(1, round(counts.max() * ratio ** (-place / max(1, len(found) - 1))))
        kept.append(rng.permutation(np.flatnonzero(classes == label))[:size])
    return np.sort(np.concatenate(kept))


def _given(source: Source) -> tuple[IntArray, IntArray]:
    """All rows of both parts."""
    tested = source.test.classes if source.test else ()
    return np.arange(len(source.train.classes)), np.arange(len(tested))


def _held_out(classes: IntArray, held: float, seed: int) -> tuple[IntArray, IntArray]:
    """So much of every class is the test, the rest trains; which images depends on the seed."""
    from sklearn.model_selection import train_test_split

    size = int(held) if held >= 1 else held
    parts = train_test_split(np.arange(len(classes)), test_size=size, stratify=classes, random_state=seed)
    train, test = (np.sort(part).astype(np.int64) for part in parts)
    return train, test
