"""Fixtures that more than one package uses."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sqlite_utils import Database

from annotator.importing.folder import scan
from annotator.serving import found
from annotator.store import db as store
from annotator.store import rounds

CLASSES = ["cat", "dog"]
Make = Callable[..., Path]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Forty small images: dark ones are cats, bright ones are dogs."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        base = 40 if number % 2 == 0 else 200
        pixels = rng.integers(base - 30, base + 30, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}-{CLASSES[number % 2]}.png")
    return folder


@pytest.fixture
def make_instance(tmp_path: Path, photos: Path) -> Make:
    """A function that makes an instance with the photos imported."""

    def make(name: str = "instance", audit_share: float = 0.0, **loop: object) -> Path:
        instance = tmp_path / name
        facts = {"audit_share": audit_share, "image_size": 8, "seed": 5, "learning": {"loop": loop}}
        found(instance, "photos", photos, CLASSES, facts)
        scan(instance, lambda done, total: None, lambda: False)
        db = store.connect(instance / store.FILE)
        with store.write(db):
            rounds.tell(db, "import", activity="complete")
        db.close()
        return instance

    return make


@pytest.fixture
def instance(make_instance: Make) -> Path:
    return make_instance()


@pytest.fixture
def db(instance: Path) -> Iterator[Database]:
    opened = store.connect(instance / store.FILE)
    yield opened
    opened.close()
