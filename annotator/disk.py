"""How much of the disk an instance takes, and how much is left."""

import shutil
from collections.abc import Iterator
from pathlib import Path

# part -> the names in the instance folder that belong to it
PARTS = {
    "labels": ("labels.db", "labels.db-wal", "labels.db-shm"),
    "models": ("rounds", "learner"),
    "pixels": ("cache",),
    "embeddings": ("features",),
    "renditions": ("renditions",),
    "backups": ("backups",),
}


def usage(instance: Path) -> dict[str, int]:
    """Bytes of each part of the instance; `other` is everything else in it, the demo's images for example."""
    part_of = {name: part for part, names in PARTS.items() for name in names}
    sizes = dict.fromkeys((*PARTS, "other"), 0)
    for path in instance.iterdir() if instance.is_dir() else ():
        sizes[part_of.get(path.name, "other")] += sum(_sizes(path))
    return sizes


def free(folder: Path) -> int:
    """Bytes that are left on the disk of a folder."""
    return shutil.disk_usage(folder).free


def _sizes(path: Path) -> Iterator[int]:
    """The sizes of a file, or of all files below a folder; what vanishes meanwhile counts nothing."""
    try:
        if path.is_dir() and not path.is_symlink():
            for child in path.iterdir():
                yield from _sizes(child)
        else:
            yield path.lstat().st_size
    except FileNotFoundError:
        return
