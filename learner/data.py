"""Images as the learner sees them: stable ids -> uint8 arrays, memory-mapped where they are many."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from learner.errors import LearnerError

IntArray = NDArray[np.int64]
ByteArray = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]
SMALL = 16  # px


class Originals(Protocol):
    """The images of a set as they are outside of it, with more pixels."""

    def keys(self, ids: IntArray) -> list[bytes]:
        """SHA-256 of what each image is, 32 bytes each."""

    def side(self) -> int:
        """The median of their shorter sides, in pixels."""

    def read(self, ids: IntArray, side: int) -> tuple[ByteArray, BoolArray]:
        """(n, side, side, 3), and which of them could be read (n,); of the others the pixels mean nothing."""


def id_array(ids: Iterable[int]) -> IntArray:
    """Ids as a one-dimensional int64 array, in the order given."""
    return np.fromiter(ids, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A set of images of one size. An id names its image for ever, wherever its pixels lie."""

    ids: IntArray  # (N,) strictly increasing
    pixels: ByteArray  # (M, H, W, 3), RGB, may be memory-mapped and hold more than this set
    rows: IntArray  # (N,) where in `pixels` each id lies
    flip: bool = True  # does a mirrored image keep its class? digits and text: no
    originals: Originals | None = field(default=None, repr=False)
    cache: Path | None = None  # the folder where embeddings stay; None: the user's
    memo: dict[str, Any] = field(default_factory=dict, repr=False)  # embeddings of exactly this set

    def __post_init__(self) -> None:
        if len(self.ids) > 1 and not (np.diff(self.ids) > 0).all():
            raise LearnerError("ids of an image set must be strictly increasing; sort them and drop the doubles")

    @classmethod
    def of(cls, pixels: ByteArray, *, flip: bool = True) -> "ImageSet":
        """All of (N, H, W, 3) with the ids 0 to N - 1."""
        ids = np.arange(len(pixels), dtype=np.int64)
        return cls(ids=ids, pixels=pixels, rows=ids, flip=flip)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def side(self) -> int:
        """The shorter side in pixels."""
        return int(min(self.pixels.shape[1:3]))

    @property
    def native_side(self) -> int:
        """The shorter side that the images have outside of this set; of most of them."""
        return self.side if self.originals is None else self.originals.side()

    @property
    def is_small(self) -> bool:
        """Too few pixels for what a net of photographs looks for."""
        return self.native_side <= SMALL

    def positions(self, ids: IntArray) -> IntArray:
        """Where `ids` stand in `self.ids`; LearnerError for one that is not in the set."""
        found = np.searchsorted(self.ids, ids)
        inside = found < len(self.ids)
        if not inside.all() or not (self.ids[found] == ids).all():
            missing = sorted(set(ids.tolist()) - set(self.ids.tolist()))
            raise LearnerError(f"no image with id {missing[0]} in this set of {len(self.ids)}")
        return found

    def take(self, ids: IntArray) -> ByteArray:
        """(n,) ids -> (n, H, W, 3) uint8, in the order asked."""
        return np.ascontiguousarray(self.pixels[self.rows[self.positions(ids)]])

    def is_larger(self, side: int | None) -> bool:
        """Would images of this side show more than the pixels that are kept here?"""
        return side is not None and self.originals is not None and side > self.side

    def sized(self, ids: IntArray, side: int | None) -> tuple[ByteArray, BoolArray]:
        """(n, side, side, 3) out of the originals where those show more, else as `take`; and which are whole (n,).

        An original that cannot be read any more is replaced by its kept pixels, enlarged.
        """
        if side is None or self.originals is None or not self.is_larger(side):
            return self.take(ids), np.ones(len(ids), bool)
        pixels, whole = self.originals.read(ids, side)
        for row in np.flatnonzero(~whole):
            pixels[row] = enlarged(self.take(ids[row : row + 1])[0], side)
        return pixels, whole

    def keys(self) -> list[bytes]:
        """What each image is, 32 bytes each: equal keys, equal images."""
        if self.originals is not None:
            return self.originals.keys(self.ids)
        size = repr(self.pixels.shape[1:]).encode()
        return [hashlib.sha256(size + self.pixels[row].tobytes()).digest() for row in self.rows]

    def only(self, ids: IntArray) -> "ImageSet":
        """The subset with these ids."""
        ids = np.unique(ids)
        return replace(self, ids=ids, rows=self.rows[self.positions(ids)], memo={})


def enlarged(pixels: ByteArray, side: int) -> ByteArray:
    """(H, W, 3) -> (side, side, 3), bicubic."""
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


@dataclass(frozen=True)
class Exam:
    """Images with known classes that never train: a test set, or the audit as far as it is labeled."""

    images: ImageSet
    classes: IntArray  # (N,) class index of images.ids
    source: str  # "test" or "audit"
