"""Where templates/ and static/ are: beside the package in a wheel, at the top level in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `templates` or `static`."""
    return next(path for path in (_PACKAGE / name, _PACKAGE.parent / name) if path.is_dir())
