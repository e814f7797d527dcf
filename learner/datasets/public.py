"""The data sets of papers: CIFAR-10, CIFAR-100 and SVHN by torchvision, and what OpenML has, by its number.

They lie in one folder, `data_dir()`. What is missing there is downloaded where a network is; torchvision checks every
file against its known MD5 sum before it is read, so that nothing else is ever unpickled.
"""

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from learner.config import DatasetSettings
from learner.data import ByteArray
from learner.datasets import FOLDER
from learner.datasets.source import Part, Source
from learner.errors import DatasetError

FILES = {
    "CIFAR10": "cifar-10-python.tar.gz or the folder cifar-10-batches-py",
    "CIFAR100": "cifar-100-python.tar.gz or the folder cifar-100-python",
    "SVHN": "train_32x32.mat and test_32x32.mat",
}
TESTED = {40927: 10_000, 41983: 10_000, 41081: 26_032}  # images of the canonical test sets that OpenML has merged
CHUNK = 4096  # rows that are looked at at once
SHARE = 0.2  # of any other set is held out
# digits and letters on OpenML: optdigits, MNIST, EMNIST, SVHN, Kuzushiji-MNIST and -49. Names of classes cannot tell:
# there CIFAR-10's are 0 to 9 as well
DIGITS = frozenset({28, 554, 41039, 41081, 41982, 41991})


def data_dir() -> Path:
    """Where the files lie: $ANNOTATOR_DATA_DIR, else ~/.cache/annotator/datasets."""
    return Path(os.environ.get(FOLDER) or Path.home() / ".cache" / "annotator" / "datasets").expanduser()


def cifar10(argument: str, settings: DatasetSettings) -> Source:
    """50,000 and 10,000 photographs of ten things, 32 x 32. Krizhevsky 2009."""
    return _cifar("CIFAR10")


def cifar100(argument: str, settings: DatasetSettings) -> Source:
    """The same of a hundred things."""
    return _cifar("CIFAR100")


def _cifar(name: str) -> Source:
    train, test = (_loaded(name, train=part) for part in (True, False))
    return Source(tuple(train.classes), _part(train.data, train.targets), _part(test.data, test.targets))


def svhn(argument: str, settings: DatasetSettings) -> Source:
    """73,257 and 26,032 house numbers, 32 x 32, imbalanced by nature. A mirrored digit is none. Netzer et al. 2011."""
    train, test = (_loaded("SVHN", split=part) for part in ("train", "test"))
    seen, held = (_part(part.data.transpose(0, 2, 3, 1), part.labels) for part in (train, test))
    return Source(tuple(str(digit) for digit in range(10)), seen, held, flip=False)


def _loaded(name: str, **part: Any) -> Any:
    """A data set of torchvision, from the folder or from the network. DatasetError where it is in neither."""
    import torchvision.datasets

    build: Callable[..., Any] = getattr(torchvision.datasets, name)
    root = data_dir()
    try:
        return build(root, **part, download=False)
    except (RuntimeError, OSError):
        pass  # not there, or damaged
    try:
        root.mkdir(parents=True, exist_ok=True)
        return build(root, **part, download=True)
    except (RuntimeError, OSError) as error:  # URLError is an OSError
        raise DatasetError(
            f"{name.lower()} is not (or not undamaged) in {root} and cannot be downloaded: {_short(error)}; "
            f"put {FILES[name]} there, or name another folder with --data-dir"
        ) from None


def _short(error: Exception) -> str:
    """Its first line."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _part(pixels: Any, classes: Any) -> Part:
    return Part(np.ascontiguousarray(pixels, np.uint8), np.asarray(classes, np.int64))


def openml(argument: str, settings: DatasetSettings) -> Source:
    """A table of OpenML whose features are the 0 to 255 of square RGB or grey images, one channel after the other.

    OpenML has no test set: one of the canonical size is held out, stratified, by the seed; of others a fifth.
    """
    try:
        number = int(argument)
    except ValueError:
        raise DatasetError(f"openml:{argument} is no number of a data set; openml:40927 is CIFAR-10") from None
    table, targets = _table(number)
    values, classes = np.unique(targets, return_inverse=True)
    order = sorted(range(len(values)), key=lambda i: (len(values[i]), values[i]))  # 2 before 10
    place = np.argsort(order)
    names = tuple(str(values[i]) for i in order)
    pixels = squares(table, f"openml:{number}")
    part = Part(pixels, place[classes].astype(np.int64))
    return Source(names, part, held=TESTED.get(number, SHARE), flip=number not in DIGITS)


def _table(number: int) -> tuple[ByteArray, NDArray[np.str_]]:
    """Features (N, F) and targets (N,). Read once: what lies on OpenML are numbers in text, which take minutes."""
    path = data_dir() / "openml" / f"{number}.npz"
    try:
        with np.load(path, allow_pickle=False) as kept:
            return kept["features"], kept["targets"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        pass  # not there, or damaged
    features, targets = _fetched(number)
    table, names = octets(features, f"openml:{number}"), np.asarray(targets).astype(str)
    with suppress(OSError):  # a disk that is full costs the copy and nothing else
        _keep(path, features=table, targets=names)
    return table, names


def _keep(path: Path, **arrays: NDArray[Any]) -> None:
    """The file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.npz")
    try:
        np.savez(part, **arrays)  # type: ignore[arg-type]
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _fetched(number: int) -> tuple[Any, Any]:
    """Features (N, F) and targets (N,). DatasetError where they cannot be had."""
    from sklearn.datasets import fetch_openml

    root = data_dir()
    try:
        features, targets = fetch_openml(
            data_id=number, data_home=root, as_frame=False, parser="liac-arff", return_X_y=True
        )
        return features, targets
    except Exception as error:  # a network, a server and a parser fail in many ways
        raise DatasetError(
            f"openml:{number} is not in {root / 'openml'} and cannot be downloaded: {_short(error)}; run this once "
            "where there is a network and bring that folder here, or name another with --data-dir"
        ) from None


def octets(table: Any, name: str) -> ByteArray:
    """(N, F) of 0 to 255, rounded, part by part: a second table of floats need not fit. DatasetError for others."""
    table = np.asarray(table)
    found = np.empty(table.shape, np.uint8)
    for start in range(0, len(table), CHUNK):
        part = table[start : start + CHUNK]
        if not ((part >= 0) & (part <= 255)).all():  # nor is NaN
            raise DatasetError(f"{name} has features outside of 0 to 255, which are no pixels")
        found[start : start + CHUNK] = np.rint(part)
    return found


def squares(table: ByteArray, name: str) -> ByteArray:
    """(N, C x S x S), channel by channel, C = 3 or 1 -> (N, S, S, 3). DatasetError for another shape."""
    width = table.shape[1] if table.ndim == 2 else 0
    for channels in (3, 1):
        side = round((width / channels) ** 0.5)
        if side > 1 and channels * side * side == width:
            break
    else:
        raise DatasetError(f"{name} has rows of {width} features, which are no square image of one or three channels")
    pixels = table.reshape(-1, channels, side, side).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:3], 3)))
