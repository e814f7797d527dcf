"""What lies in the files that a cell names: part of its key, so that changed data are computed anew.

Data sets that are known by a name or a number are checked where they are downloaded, and count by that name alone.
"""

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

from learner import datasets, oracles
from learner.datasets.folder import SUFFIXES, THREADS
from learner.simulate import Cell

LENGTH = 12  # hexadecimal digits


def with_content(cells: Sequence[Cell], *, has_data: bool = False) -> tuple[Cell, ...]:
    """The cells, each with a digest of the files that it names; each file is read once. has_data: see `absent`."""
    digest = cache(digest_of)
    return tuple(replace(cell, content=_joined(digest(path) for path in files(cell, has_data))) for cell in cells)


def files(cell: Cell, has_data: bool = False) -> list[Path]:
    """Of the data set, of who answers, of the weights: those that the cell names by a path."""
    weights = str(getattr(cell.method.settings, "weights", ""))
    named = [] if has_data else [datasets.path_of(cell.dataset)]
    named += [oracles.path_of(cell.oracle), Path(weights) if weights not in ("", "random") else None]
    return [path for path in named if path is not None]


def digest_of(path: Path) -> str:
    """Of a file's bytes, or of the names and bytes of a folder's images; empty where nothing can be read."""
    try:
        return _of_folder(path) if path.is_dir() else _of_file(path)
    except OSError:
        return ""


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_folder(path: Path) -> str:
    found = sorted(p for depth in ("*/*", "*/*/*") for p in path.glob(depth) if p.suffix.lower() in SUFFIXES)
    images = [p for p in found if p.is_file()]
    with ThreadPoolExecutor(THREADS) as pool:
        sums = pool.map(_of_file, images)
        lines = [f"{p.relative_to(path).as_posix()} {digest}\n" for p, digest in zip(images, sums, strict=True)]
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def _joined(digests: Iterable[str]) -> str:
    text = " ".join(digests)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH] if text.strip() else ""
