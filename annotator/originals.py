"""The files in a project's folder: their names as text, and the one way to open them.

A stored path is not trusted: whoever opens a file checks again that it lies inside the folder.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from annotator.errors import AnnotatorError

_JOINERS = "\u200c\u200d"  # parts of emoji and of Persian words, though they print nothing alone
_ESCAPE = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")

# a pipe with a harmless name must not make anybody wait; not every system has every flag
_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _flag, 0)


class Unreadable(AnnotatorError):
    """The file cannot be used now; the message is the reason."""

    status = 404


def open_original(folder: Path, path: bytes, sha256: str | None = None) -> BinaryIO:
    """Open a file by its path relative to the folder, for reading.

    Raises Unreadable if it is gone, no regular file, outside (.., links), or does not have this hash.
    """
    try:
        file = os.fdopen(os.open(_inside(folder, path), _FLAGS), "rb")
    except (OSError, ValueError) as error:
        raise Unreadable(cannot_read(error)) from None
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Unreadable("not a regular file")
        if sha256 is not None and digest(file) != sha256:
            raise Unreadable("its content has changed since it was imported")
    except BaseException:
        file.close()
        raise
    return file


def open_image(folder: Path, paths: Iterable[bytes], sha256: str) -> BinaryIO:
    """The first of an image's files that can be opened and still has its content. Raises Unreadable."""
    problem = Unreadable("its file is missing")
    for path in paths:
        try:
            return open_original(folder, path, sha256)
        except Unreadable as error:
            problem = error
    raise problem


def _inside(folder: Path, path: bytes) -> bytes:
    """The real path of a file in the folder; Unreadable when it is not in there."""
    root = os.fsencode(folder.resolve())
    if not isinstance(path, bytes) or path.startswith(b"/") or b".." in path.split(b"/"):
        raise Unreadable("not a path inside the project's folder")
    real = os.path.realpath(os.path.join(root, path))  # noqa: PTH118 - names are bytes
    if not is_inside(real, root):
        raise Unreadable("a link that leads out of the project's folder")
    return real


def is_inside(path: bytes, root: bytes) -> bool:
    """Is a real path a real folder or below it? Compared by components: /photos-old is not in /photos."""
    return Path(os.fsdecode(path)).is_relative_to(os.fsdecode(root))


def digest(file: BinaryIO) -> str:
    """SHA-256 of a file's bytes, streamed, as hex; leaves the file at its start."""
    file.seek(0)
    value = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    file.seek(0)
    return value


def cannot_read(error: Exception) -> str:
    """The reason in words, without the path: it stands beside the file's name."""
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"


def printable(path: bytes) -> str:
    r"""A file name as text for people and exports; `from_printable` gives the bytes back.

    UTF-8 as it is; a backslash is doubled, bytes that are no UTF-8 are \xff, what does not print is \u000a.
    """
    text = path.decode("utf-8", "surrogateescape")
    return text if text.isprintable() and "\\" not in text else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    if character.isprintable() or character in _JOINERS:
        return character
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}"


def from_printable(name: str) -> bytes:
    """The path that `printable` made this name of."""
    return _ESCAPE.sub(_unescaped, name).encode("utf-8", "surrogateescape")


def _unescaped(match: re.Match[str]) -> str:
    byte, short, long = match.groups()
    if byte:
        return chr(0xDC00 + int(byte, 16))
    return chr(int(short or long, 16)) if short or long else "\\"
