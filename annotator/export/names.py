"""Names that every file system takes, out of names that people and strangers gave."""

import os
import unicodedata

_FORBIDDEN = frozenset('<>:"/\\|?*')
_DEVICES = frozenset({"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}) | {
    f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"
}
_STEM_BYTES, _SUFFIX_BYTES = 160, 32  # together with a number well below the usual 255


def safe_stem(name: str) -> str:
    """A file or folder name without suffix: no separators, no leading dot, nothing that a system reserves."""
    text = "".join(map(_safe_character, unicodedata.normalize("NFC", name)))
    text = _cut(text.lstrip(" ."), _STEM_BYTES).rstrip(" .") or "_"
    return f"_{text}" if text.partition(".")[0].rstrip().upper() in _DEVICES else text


def _safe_character(character: str) -> str:
    return character if character.isprintable() and character not in _FORBIDDEN else "_"


def _cut(text: str, size: int) -> str:
    """At most `size` bytes, without half a character."""
    return text.encode()[:size].decode(errors="ignore")


def split_suffix(name: str) -> tuple[str, str]:
    """(safe stem, safe suffix with its dot or nothing) of a file name."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - Path treats names like `..` as paths
    suffix = "".join(map(_safe_character, unicodedata.normalize("NFC", suffix)))
    return safe_stem(stem), _cut(suffix, _SUFFIX_BYTES).rstrip(" .")


class Names:
    """Gives each name once, whether or not the file system tells capitals apart."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def take(self, stem: str, suffix: str = "") -> str:
        """`stem.suffix`, or `stem-2.suffix` and so on where that is taken."""
        name, key = stem + suffix, _folded(stem + suffix)
        while _folded(name) in self._taken:
            number = self._next[key] = self._next.get(key, 1) + 1
            name = f"{stem}-{number}{suffix}"
        self._taken.add(_folded(name))
        return name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
