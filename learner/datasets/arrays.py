"""Data sets in one NumPy file."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learner.config import DatasetSettings
from learner.data import ByteArray, IntArray
from learner.datasets.source import Part, Source, mirrored
from learner.errors import DatasetError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
NAMES = ("classes", "class_names")


def npz(argument: str, settings: DatasetSettings) -> Source:
    """x_train and x_test: (N, H, W), (N, H, W, 1) or (N, H, W, 3) uint8; y_train and y_test: integers (N,) or (N, 1).

    `classes` or `class_names`, where there is one, names the classes 0, 1, ...; else each value of y_train is one.
    `flip`, true or false, says whether a mirrored image keeps its class; else no where the file names digits.
    Nothing is unpickled. DatasetError for whatever is missing or of another shape.
    """
    try:
        with Path(argument).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return _source(file)
    except DatasetError as error:
        raise DatasetError(f"{argument}: {error}") from None
    except OSError as error:
        raise DatasetError(f"cannot read {argument}: {error.strerror or error}") from None
    except (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(f"{argument} is not a file of numpy.savez with plain arrays: {error}") from None


def _source(file: Mapping[str, NDArray[Any]]) -> Source:
    missing = [key for key in ARRAYS if key not in file]
    if missing:
        raise DatasetError(f"has no array {missing[0]!r}; it needs {', '.join(ARRAYS)}, and has {', '.join(file)}")
    y_train, y_test = (_integers(key, file[key]) for key in ("y_train", "y_test"))
    said = next((key for key in NAMES if key in file), None)
    names, values = _named(file[said]) if said else _found(y_train)
    train = Part(_images("x_train", file["x_train"], len(y_train)), _indices("y_train", y_train, values))
    test = Part(_images("x_test", file["x_test"], len(y_test)), _indices("y_test", y_test, values))
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise DatasetError(f"x_train has images of {_size(train.pixels)}, x_test of {_size(test.pixels)}")
    flip = _flag(file["flip"]) if "flip" in file else said is None or mirrored(names)
    return Source(names, train, test, flip=flip)


def _flag(value: NDArray[Any]) -> bool:
    if value.dtype != np.bool_ or value.size != 1:
        raise DatasetError(f"flip has type {value.dtype} and shape {value.shape}; it is one True or False")
    return bool(value.all())


def _integers(key: str, labels: NDArray[Any]) -> IntArray:
    """(N,) or (N, 1) of any integer type -> (N,)."""
    if not np.issubdtype(labels.dtype, np.integer):
        raise DatasetError(f"{key} is of type {labels.dtype}; classes are integers")
    if labels.ndim == 0 or labels.shape[1:] not in ((), (1,)):
        raise DatasetError(f"{key} has shape {labels.shape}; it needs one class for each image: (N,) or (N, 1)")
    return labels.reshape(-1).astype(np.int64)


def _images(key: str, pixels: NDArray[Any], number: int) -> ByteArray:
    """(N, H, W, 3): grey images as a view that takes no more memory."""
    if pixels.dtype != np.uint8:
        raise DatasetError(f"{key} is of type {pixels.dtype}; pixels are uint8, from 0 to 255")
    shape = pixels.shape
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or not pixels.shape[1] * pixels.shape[2]:
        raise DatasetError(f"{key} has shape {shape}; it needs (N, H, W), (N, H, W, 1) or (N, H, W, 3)")
    if len(pixels) != number:
        raise DatasetError(f"{key} has {len(pixels)} images, {key.replace('x_', 'y_')} has {number} classes for them")
    return np.broadcast_to(pixels, (*pixels.shape[:3], 3))


def _named(classes: NDArray[Any]) -> tuple[tuple[str, ...], IntArray]:
    """The names of the file, for the values 0, 1, ..."""
    names = tuple(str(name) for name in classes.reshape(-1).tolist())
    if len(set(names)) < len(names):
        raise DatasetError("has two classes of the same name")
    return names, np.arange(len(names))


def _found(y_train: IntArray) -> tuple[tuple[str, ...], IntArray]:
    """A class for each value that occurs."""
    values = np.unique(y_train)
    return tuple(str(value) for value in values.tolist()), values


def _indices(key: str, labels: IntArray, values: IntArray) -> IntArray:
    """Labels as indices into `values`."""
    unknown = np.setdiff1d(labels, values)
    if len(unknown):
        known = f"{values.min()} to {values.max()}" if len(values) else "none"
        raise DatasetError(
            f"{key} has the class {unknown[0]}, of which there is no training image and no name ({known})"
        )
    return np.searchsorted(values, labels)


def _size(pixels: ByteArray) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[2]}"
