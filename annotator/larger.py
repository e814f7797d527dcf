"""The images of a project with as many pixels as a pretrained net wants to see, read from their files."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from annotator.images import BadImage, read_training
from annotator.importing.reading import THREADS, in_order
from annotator.originals import Unreadable, open_image
from annotator.store import images as image_store
from learner.data import BoolArray, ByteArray, IntArray


class StoreOriginals:
    """What learner.data.Originals asks for. `folder` says where the project's files are now."""

    def __init__(self, db: Database, folder: Callable[[], Path]) -> None:
        self._db, self._folder = db, folder

    def keys(self, ids: IntArray) -> list[bytes]:
        """The hashes of the files."""
        found = image_store.hashes(self._db)
        return [bytes.fromhex(found[image]) for image in ids.tolist()]

    def side(self) -> int:
        return image_store.median_side(self._db)

    def read(self, ids: IntArray, side: int) -> tuple[ByteArray, BoolArray]:
        """The centre squares, and which of them could be read: a file may be gone, or another one by now."""
        rows = [image_store.get(self._db, image) for image in ids.tolist()]
        pixels, whole = np.zeros((len(rows), side, side, 3), np.uint8), np.zeros(len(rows), bool)
        with ThreadPoolExecutor(THREADS) as pool:
            for place, image in enumerate(in_order(pool, partial(_read, self._folder(), side), rows)):
                if image is not None:
                    pixels[place], whole[place] = image, True
        return pixels, whole


def _read(folder: Path, side: int, row: dict[str, Any]) -> NDArray[np.uint8] | None:
    """(side, side, 3), or None where the file cannot be read now."""
    try:
        with open_image(folder, row["paths"], row["sha256"]) as file:
            return read_training(file, side)[0]
    except (Unreadable, BadImage, OSError):
        return None
