"""Reads files in threads: hash, decode, scale. Knows nothing of the store."""

import os
from collections import deque
from collections.abc import Callable, Container, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from annotator import images
from annotator.importing.walk import Entry
from annotator.originals import Unreadable, cannot_read, digest, open_original

THREADS = min(8, os.cpu_count() or 1)

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Reading:
    """What came of a file: an image, or a problem."""

    entry: Entry
    sha256: str | None = None
    size: tuple[int, int] = (0, 0)
    pixels: NDArray[np.uint8] | None = None  # None: the image is known
    problem: str | None = None
    retry: bool = False  # the problem lies in reaching the file, not in its content


@dataclass(frozen=True)
class Reader:
    """Reads the files of a folder for training images of one size; hashes in `known` are not decoded."""

    folder: Path
    side: int
    known: Container[str]

    def read_all(self, entries: Iterable[Entry]) -> Generator[Reading]:
        """In the order of the entries. Never raises because of a file."""
        with ThreadPoolExecutor(THREADS) as pool:
            yield from in_order(pool, self.read, entries)

    def read(self, entry: Entry) -> Reading:
        """One file. Only its own content decides: the same in any thread at any time."""
        if entry.problem:
            return Reading(entry, problem=entry.problem, retry=True)
        try:
            with open_original(self.folder, entry.path) as file:
                return self._decode(entry, file)
        except images.BadImage as error:
            return Reading(entry, problem=str(error))
        except Unreadable as error:
            return Reading(entry, problem=str(error), retry=True)
        except OSError as error:
            return Reading(entry, problem=cannot_read(error), retry=True)

    def _decode(self, entry: Entry, file: BinaryIO) -> Reading:
        images.check(file)  # films and archives are not read to their end
        content = digest(file)
        if content in self.known:
            return Reading(entry, content)
        pixels, size = images.read_training(file, self.side)
        status = os.fstat(file.fileno())
        if (status.st_size, status.st_mtime_ns) != (entry.size, entry.mtime_ns):
            raise Unreadable("it changed while it was read")
        return Reading(entry, content, size, pixels)


def in_order(pool: ThreadPoolExecutor, work: Callable[[S], T], todo: Iterable[S]) -> Generator[T]:
    """`map(work, todo)` in threads that run only a little ahead of whoever takes the results."""
    waiting: deque[Future[T]] = deque()
    try:
        for item in todo:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 4 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
