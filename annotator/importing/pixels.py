"""The file of training pixels: raw rows of side * side * 3 bytes, for memory mapping."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class PixelFile:
    """Appends rows. At any moment it is a whole number of rows long, so that others may map it."""

    def __init__(self, path: Path, side: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
        self._row_bytes = side * side * 3
        self._file.truncate(len(self) * self._row_bytes)  # a torn row, if any

    def __len__(self) -> int:
        return os.fstat(self._file.fileno()).st_size // self._row_bytes

    def write(self, first: int, rows: Sequence[NDArray[np.uint8]]) -> None:
        """Put rows at `first` and after it, over what a killed process left; on disk when it returns."""
        end = first + len(rows)
        if len(self) < end:
            self._file.truncate(end * self._row_bytes)
        waiting = memoryview(b"".join(row.tobytes() for row in rows))
        self._file.seek(first * self._row_bytes)
        while waiting:
            waiting = waiting[self._file.write(waiting) :]
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
