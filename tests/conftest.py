"""Fixtures that more than one package uses."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from live import answer_truly
from PIL import Image
from sqlite_utils import Database

from annotator.importing.folder import scan
from annotator.serving import found
from annotator.store import db as store
from annotator.store import project, rounds

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run beside each other: one thread each, before torch is imported

CLASSES = ["cat", "dog"]
Make = Callable[..., Path]


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: much of a browser test is waiting."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: one that begins last is waited for by everybody."""
    items.sort(key=lambda item: item.path.name not in ("test_readme.py", "test_benchmarks.py"))


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Embeddings of tests are not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANNOTATOR_CACHE", str(folder := tmp_path_factory.mktemp("embeddings")))
        yield folder


def make_photos(folder: Path) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        base = 40 if number % 2 == 0 else 200
        pixels = rng.integers(base - 30, base + 30, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}-{CLASSES[number % 2]}.png")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Forty small images: dark ones are cats, bright ones are dogs."""
    return make_photos(tmp_path / "photos")


@pytest.fixture(scope="session")
def photos_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same photos, for those who do not change them."""
    return make_photos(tmp_path_factory.mktemp("once") / "photos")


def import_photos(instance: Path, photos: Path, audit_share: float = 0.0, **loop: object) -> Path:
    """Found a project on the photos, imported."""
    facts = {"audit_share": audit_share, "image_size": 8, "seed": 5, "learning": {"loop": loop}}
    found(instance, "photos", photos, CLASSES, facts)
    scan(instance, lambda done, total: None, lambda: False)
    db = store.connect(instance / store.FILE)
    with store.write(db):
        rounds.tell(db, "import", activity="complete")
    db.close()
    return instance


@pytest.fixture
def make_instance(tmp_path: Path, photos: Path) -> Make:
    """A function that makes an instance with the photos imported."""

    def make(name: str = "instance", audit_share: float = 0.0, **loop: object) -> Path:
        return import_photos(tmp_path / name, photos, audit_share, **loop)

    return make


@pytest.fixture(scope="session")
def learned_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `learned` copies."""
    from annotator.worker import Worker  # not above: with torch, which most tests do not need

    folder = tmp_path_factory.mktemp("learned")
    instance = import_photos(folder / "learned", make_photos(folder / "photos"), query_size=10)
    for answers in (10, 0):
        Worker(instance)._look()
        db = store.connect(instance / store.FILE)
        answer_truly(db, answers)
        db.close()
    return folder


@pytest.fixture
def learned(learned_once: Path, photos: Path, tmp_path: Path) -> Path:
    """An instance with ten labels and a model, beside its photos."""
    for path in photos.iterdir():  # as old as those that were imported: nothing is read again
        shutil.copystat(learned_once / "photos" / path.name, path)
    instance = shutil.copytree(learned_once / "learned", tmp_path / "learned", ignore=shutil.ignore_patterns("*-shm"))
    db = store.connect(instance / store.FILE)
    with store.write(db):
        project.put(db, folder=str(photos))
    db.close()
    return instance


@pytest.fixture
def instance(make_instance: Make) -> Path:
    return make_instance()


@pytest.fixture
def db(instance: Path) -> Iterator[Database]:
    opened = store.connect(instance / store.FILE)
    yield opened
    opened.close()
