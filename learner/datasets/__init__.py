"""DATASETS: benchmark sets whose classes are known. A row is `build(argument, settings) -> Source`.

A text names one with everything that decides its images: NAME, NAME:PATH, then any of @modified, @longtail, @flip,
@no-flip and @SIZE (folders only), as in `folder:birds@64@modified`. Where downloaded files lie is no part of it:
`learner.datasets.public.data_dir`.
"""

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from learner.config import DatasetSettings, FolderSettings
from learner.datasets.source import Dataset, Source, divided
from learner.errors import UnknownName
from learner.registry import Row
from learner.registry import options as read_options
from learner.settings import resolve

__all__ = ["DATASETS", "Dataset", "Source", "load"]


@dataclass(frozen=True)
class DatasetRow(Row):
    argument: str = ""  # what follows the name and a colon


DATASETS: dict[str, DatasetRow] = {
    "digits": DatasetRow(
        "1,797 handwritten digits of 8 x 8 pixels, inside scikit-learn; half held out",
        DatasetSettings, "learner.datasets.embedded:digits",
    ),
    "cifar10": DatasetRow(
        "60,000 photographs of 32 x 32 pixels, ten classes", DatasetSettings, "learner.datasets.public:cifar10",
        paper="Krizhevsky 2009",
    ),
    "cifar100": DatasetRow(
        "60,000 photographs of 32 x 32 pixels, a hundred classes", DatasetSettings,
        "learner.datasets.public:cifar100", paper="Krizhevsky 2009",
    ),
    "svhn": DatasetRow(
        "99,289 house numbers of 32 x 32 pixels, ten classes", DatasetSettings, "learner.datasets.public:svhn",
        paper="Netzer et al. 2011",
    ),
    "openml": DatasetRow(
        "images in a table of OpenML: 40927 CIFAR-10, 41983 CIFAR-100, 41081 SVHN; a test set is held out",
        DatasetSettings, "learner.datasets.public:openml", argument="ID",
    ),
    "npz": DatasetRow(
        "a NumPy file with x_train, y_train, x_test, y_test and maybe classes",
        DatasetSettings, "learner.datasets.arrays:npz", argument="FILE",
    ),
    "folder": DatasetRow(
        "images in FOLDER/train/CLASS and FOLDER/test/CLASS, or in FOLDER/CLASS with half held out",
        FolderSettings, "learner.datasets.folder:folder", argument="FOLDER",
    ),
}  # fmt: skip
FOLDER = "ANNOTATOR_DATA_DIR"  # the variable that names the folder of downloaded files, for worker processes too
RATIOS = {"longtail": 100, "longtail10": 10, "longtail50": 50, "longtail200": 200}
OPTIONS = {word: ("longtail", ratio) for word, ratio in RATIOS.items()} | {
    "modified": ("modified", True),
    "flip": ("flip", True),
    "no-flip": ("flip", False),
}


def load(text: str, seed: int = 0) -> Dataset:
    """The data set of this name, as the seed divides it. Read once in a process, while its file stays the same.

    Raises UnknownName, BadSetting, DatasetError.
    """
    name, argument, settings = parse(text)
    source = _source(name, argument, replace(settings, modified=False, longtail=0, flip=None), _stamp(argument))
    is_drawn = settings.modified or settings.longtail or source.test is None
    return _divided(source, text, settings, seed if is_drawn else 0)


def parse(text: str) -> tuple[str, str, Any]:
    """Name, argument and settings. Raises UnknownName, and BadSetting for an option the row does not have."""
    rest, values = read_options(text, OPTIONS, "image_size")
    name, colon, argument = rest.partition(":")
    row = DATASETS.get(name)
    if row is None or bool(row.argument) != bool(argument) or (colon and not argument):
        raise UnknownName(
            f"unknown data set {text!r}; choose from {', '.join(forms())}, with @modified, @longtail, @no-flip"
        )
    return name, argument, resolve(row.settings, values)


def path_of(text: str) -> Path | None:
    """The file or folder that the name of a data set gives; None where it gives none."""
    name, argument, _ = parse(text)
    return Path(argument) if DATASETS[name].argument in ("FILE", "FOLDER") else None


def forms() -> list[str]:
    """How each data set is written."""
    return [f"{name}:{row.argument}" if row.argument else name for name, row in DATASETS.items()]


@lru_cache(maxsize=2)
def _source(name: str, argument: str, settings: DatasetSettings, stamp: object) -> Source:
    source: Source = DATASETS[name].load()(argument, settings)
    return source


@lru_cache(maxsize=4)
def _divided(source: Source, text: str, settings: DatasetSettings, seed: int) -> Dataset:
    return divided(text, source, settings, seed)


def _stamp(argument: str) -> object:
    """Something that changes with the file or folder of this name."""
    if not argument:
        return os.environ.get(FOLDER)
    try:
        path = Path(argument).resolve()
        return path, path.stat().st_mtime_ns, path.stat().st_size
    except (OSError, ValueError):
        return None
