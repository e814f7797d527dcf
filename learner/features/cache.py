"""Embeddings on disk: float16 rows by the content of the image, one folder for each way to compute them.

Each process appends to a file of its own and reads those of all others, so that nothing has to be locked. A record
holds its key and a checksum: what was torn off or damaged is not found, and computed again.
"""

import contextlib
import hashlib
import json
import os
import uuid
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learner.data import BoolArray, ImageSet
from learner.events import Progress
from learner.features import Extractor, FloatArray, Report

SUFFIX = ".rows"
ABOUT = "about.json"
CHUNK = 16_384  # rows that are compared at once


def default_folder() -> Path:
    """Of the user: $ANNOTATOR_CACHE, else where the system keeps caches."""
    chosen = os.environ.get("ANNOTATOR_CACHE")
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "annotator" / "features"


def extract_kept(fitted: Extractor, images: ImageSet, report: Report) -> FloatArray:
    """(N, D) over this set; rows that are not on disk are computed and put there. Values are those of float16.

    Stopped in the middle, it goes on there the next time.
    """
    seen = fitted.side if images.is_larger(fitted.side) else list(images.pixels.shape[1:3])
    about = {**fitted.about, "pixels": seen}
    memo = f"kept {json.dumps(about, sort_keys=True)}"
    if memo not in images.memo:
        cache = Cache(images.cache or default_folder(), about, fitted.width)
        with contextlib.closing(cache):
            images.memo[memo] = _rows(fitted, images, cache, report)
    rows: FloatArray = images.memo[memo]
    return rows


def _rows(fitted: Extractor, images: ImageSet, cache: "Cache", report: Report) -> FloatArray:
    keys = images.keys()
    rows, known = cache.find(keys)
    missing = np.flatnonzero(~known)
    done = len(images) - len(missing)
    report(Progress("embedding", done, len(images)))
    for start in range(0, len(missing), fitted.batch):
        where = missing[start : start + fitted.batch]
        pixels, whole = images.sized(images.ids[where], fitted.side)
        rows[where] = fitted(pixels).astype(np.float16)
        cache.add([keys[i] for i in where[whole]], rows[where[whole]])
        report(Progress("embedding", done + start + len(where), len(images)))
    return rows


class Cache:
    """Rows of D numbers by key, in a folder that belongs to exactly these settings."""

    def __init__(self, folder: Path, about: dict[str, Any], width: int) -> None:
        text = json.dumps({**about, "width": width}, sort_keys=True, indent=1)
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:24]
        self._record = np.dtype([("key", "V32"), ("crc", "<u4"), ("row", "<f2", (width,))])
        self._about, self._width = text, width
        self._file: Any = None
        self._full = False

    def find(self, keys: list[bytes]) -> tuple[FloatArray, BoolArray]:
        """Rows (N, D) and which of them are known (N,); the others are zero."""
        rows, known = np.zeros((len(keys), self._width), np.float32), np.zeros(len(keys), bool)
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            records = self._records(path)
            places = {key.tobytes(): place for place, key in enumerate(records["key"])}
            pairs = [(i, places[key]) for i, key in enumerate(keys) if not known[i] and key in places]
            for i, place in pairs:
                record = records[place]
                if int(record["crc"]) == _checksum(keys[i], record["row"]):
                    rows[i], known[i] = record["row"], True
        return rows, known

    def _records(self, path: Path) -> NDArray[Any]:
        """Its whole records."""
        try:
            number = path.stat().st_size // self._record.itemsize
            return np.memmap(path, self._record, "r", shape=(number,)) if number else np.empty(0, self._record)
        except OSError:  # removed meanwhile
            return np.empty(0, self._record)

    def nearest(self, key: bytes, count: int) -> list[bytes]:
        """Keys of up to `count` rows by cosine similarity to that of a key, the likest first; none if it has no row."""
        (row,), (known,) = self.find([key])
        if not known:
            return []
        found: dict[bytes, float] = {}
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            records = self._records(path)
            for start in range(0, len(records), CHUNK):
                part = records[start : start + CHUNK]
                similar = _cosine(part["row"].astype(np.float32), row)
                best = np.argsort(-similar, kind="stable")[: count + 1]
                found |= {part["key"][i].tobytes(): float(similar[i]) for i in best.tolist() if _is_whole(part[i])}
        found.pop(key, None)
        return sorted(found, key=lambda each: -found[each])[:count]

    def add(self, keys: list[bytes], rows: FloatArray) -> None:
        """Append. A disk that is full costs the cache and nothing else."""
        if self._full or not keys:
            return
        records = np.empty(len(keys), self._record)
        records["row"] = rows
        for record, key in zip(records, keys, strict=True):
            record["key"] = np.void(key)
            record["crc"] = _checksum(key, record["row"])
        try:
            self._open().write(records.tobytes())
        except OSError:
            self._full = True

    def _open(self) -> Any:
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / ABOUT).write_text(self._about + "\n")
            self._file = (self.folder / f"{uuid.uuid4().hex}{SUFFIX}").open("wb", buffering=0)
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def kept(folder: Path) -> list[Cache]:
    """What is in a folder of embeddings, however computed; those that were begun last first."""
    found = []
    for path in folder.glob(f"*/{ABOUT}"):
        with contextlib.suppress(OSError, ValueError, KeyError):  # removed meanwhile, or torn off
            about = json.loads(path.read_text())
            found.append((path.stat().st_mtime, Cache(folder, about, about.pop("width"))))
    return [each for _, each in sorted(found, key=lambda pair: -pair[0])]


def _cosine(rows: FloatArray, row: FloatArray) -> FloatArray:
    """(n,) of (n, D) and (D,); 0 where a row is zero."""
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(row)
    similar: FloatArray = (rows @ row / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return similar


def _is_whole(record: Any) -> bool:
    return int(record["crc"]) == _checksum(record["key"].tobytes(), record["row"])


def _checksum(key: bytes, row: NDArray[np.float16]) -> int:
    return zlib.crc32(key + row.tobytes())
