"""Data sets as folders of images, one folder for each class."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from learner.config import FolderSettings
from learner.data import ByteArray
from learner.datasets.source import Part, Source, mirrored
from learner.errors import DatasetError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
THREADS = min(8, os.cpu_count() or 1)


def folder(argument: str, settings: FolderSettings) -> Source:
    """FOLDER/train/CLASS/* and FOLDER/test/CLASS/*, or FOLDER/CLASS/* with half of every class held out.

    Files that are no images by their name are left out. DatasetError for a folder of another shape and for a broken
    image.
    """
    root = Path(argument)
    if not root.is_dir():
        raise DatasetError(f"{argument} is not a folder; give one with a folder of images for each class")
    try:
        return _source(root, settings.image_size)
    except DatasetError as error:
        raise DatasetError(f"{argument}: {error}") from None
    except OSError as error:
        raise DatasetError(f"cannot read {argument}: {error.strerror} ({error.filename})") from None


def _source(root: Path, side: int) -> Source:
    train, test = root / "train", root / "test"
    has = [bool(_folders(part)) for part in (train, test)]
    if any(has) and not all(has):
        given, lacking = ("train", "test") if has[0] else ("test", "train")
        raise DatasetError(f"has {given}/CLASS but no {lacking}/CLASS; add it, or put the classes right here")
    names = tuple(_folders(train if all(has) else root))
    if not names:
        raise DatasetError("has no folder in it; images lie in one folder for each class")
    if not all(has):
        return Source(names, _part(root, names, side), flip=mirrored(names))
    more = [name for name in _folders(test) if name not in names]
    if more:
        raise DatasetError(f"test has the class {more[0]!r}, of which there is no training image")
    return Source(names, _part(train, names, side), _part(test, names, side), flip=mirrored(names))


def _folders(path: Path) -> list[str]:
    """Names of the folders in it, sorted; none where it is no folder."""
    return sorted(p.name for p in path.iterdir() if p.is_dir() and p.name[0] != ".") if path.is_dir() else []


def _part(root: Path, names: Sequence[str], side: int) -> Part:
    """Every image of every class, in the order of the names."""
    files = [_files(root / name) for name in names]
    classes = np.repeat(np.arange(len(names)), [len(found) for found in files])
    paths = [path for found in files for path in found]
    pixels = np.empty((len(paths), side, side, 3), np.uint8)
    with ThreadPoolExecutor(THREADS) as pool:
        for row, image in enumerate(pool.map(lambda path: read(path, side), paths)):
            pixels[row] = image
    return Part(pixels, classes)


def _files(path: Path) -> list[Path]:
    """Its images by name; none where there is no such folder."""
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != "." and p.is_file())


def read(path: Path, side: int) -> ByteArray:
    """The centre square, upright, on white where transparent, scaled: (side, side, 3). DatasetError names the file."""
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (2 * side, 2 * side))
            image = ImageOps.exif_transpose(opened)
            short = min(image.size)
            left, top = (image.width - short) // 2, (image.height - short) // 2
            box = (left, top, left + short, top + short)
            return np.asarray(_rgb(image).resize((side, side), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0))
    except Exception as error:  # decoders fail in every way there is
        raise DatasetError(f"{path.name} in {path.parent.name} is no image that can be read: {error}") from error


def _rgb(image: Image.Image) -> Image.Image:
    """RGB of 8 bits, on white where it is transparent."""
    if image.mode.startswith("I"):  # 16 bits of grey
        image = Image.fromarray((np.asarray(image).clip(0, 2**16 - 1) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
