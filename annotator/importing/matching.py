"""Which image does a row mean? By the content's SHA-256, else by its path, else by a file name that is the only one.

Paths from elsewhere differ in spelling: composed letters, backslashes, a leading `./`, the folder that the images lay
in, a URL of Label Studio. Nothing here opens a file: a path is only ever looked up among those that are known.
"""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from sqlite_utils import Database

from annotator.errors import AnnotatorError
from annotator.originals import from_printable
from annotator.store import files
from annotator.store import images as image_store

LONGEST_PATH = 4096  # characters
SEVERAL = 0  # no image has this id
_SHA256 = re.compile(r"[0-9a-f]{64}", re.I)
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file


class Unmatched(AnnotatorError):
    """No image, or more than one; the message is the reason."""


class Index:
    """Everything that an image can be called by."""

    def __init__(self, db: Database, folder: Path) -> None:
        self._folder = canonical(str(folder)) + "/"
        self._hashes = image_store.hashes(db)
        self._images = {sha256: image for image, sha256 in self._hashes.items()}
        self._names: dict[str, int] = {}  # as exports write them
        self._paths: dict[str, int] = {}  # in one spelling
        self._ends: dict[str, int] = {}  # without their folders
        for name, image in files.named(db):
            path = canonical(_text(from_printable(name)))
            for known, key in ((self._names, name), (self._paths, path), (self._ends, path.rpartition("/")[2])):
                known[key] = image if known.get(key, image) == image else SEVERAL

    def sha256(self, image: int) -> str:
        return self._hashes[image]

    def find(self, path: str, sha256: str = "") -> tuple[int, str]:
        """(image id, by what it is known: content, path or file name). Raises Unmatched."""
        content = sha256.strip().lower()
        if content and not _SHA256.fullmatch(content):
            raise Unmatched(f"{content!r:.70} is no SHA-256")
        if content in self._images:
            return self._images[content], "content"
        image, how = self._by_path(path)
        if content and self._hashes[image] != content:
            raise Unmatched("the file of this name has other content than the one that was labeled (SHA-256)")
        return image, how

    def _by_path(self, path: str) -> tuple[int, str]:
        if not path:
            raise Unmatched("no path")
        if len(path) > LONGEST_PATH:
            raise Unmatched(f"a path of more than {LONGEST_PATH:,} characters")
        spellings = list(_spellings(path))
        for known, keys, how in (
            (self._names, [path], "path"),
            (self._paths, [key for spelling in spellings for key in self._tails(spelling)], "path"),
            (self._ends, [end for spelling in spellings for end in _ends(spelling)], "file name"),
        ):
            image = next((known[key] for key in keys if key in known), None)
            if image == SEVERAL:
                raise Unmatched(f"several images fit this {how}")
            if image is not None:
                return image, how
        raise Unmatched("no image of the project has this path or file name")

    def _tails(self, path: str) -> Iterator[str]:
        """The path below the project's folder, then its ends, the longest first."""
        if path.startswith(self._folder):
            yield path.removeprefix(self._folder)
        while path:
            yield path
            path = path.partition("/")[2]


def canonical(path: str) -> str:
    """One spelling for the same path: slashes, composed letters, nothing that leads nowhere."""
    text = unicodedata.normalize("NFC", path.replace("\\", "/"))
    return "/".join(part for part in text.split("/") if part not in ("", "."))


def _spellings(path: str) -> Iterator[str]:
    """What was meant, in one spelling: the path as it is, as our exports escape it, as a URL."""
    yield canonical(path)
    try:
        yield canonical(_text(from_printable(path)))
        yield canonical(_text(_location(path)))
    except ValueError:  # half a character, or a URL that is none
        return


def _location(url: str) -> bytes:
    """The path in a URL, percent-decoded; in that of a local file of Label Studio, what stands behind `?d=`."""
    _, local, tail = url.partition("/data/local-files/?d=")
    if not local:
        tail = urlsplit(url).path if "://" in url else url
    return unquote_to_bytes(tail.encode("utf-8", "surrogateescape"))


def _ends(path: str) -> Iterator[str]:
    end = path.rpartition("/")[2]
    yield end
    if _UPLOAD.match(end):
        yield _UPLOAD.sub("", end, count=1)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
