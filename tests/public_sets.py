"""Small archives in the formats of the real ones, with the sums that torchvision expects of them."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from torchvision import datasets

EACH = 6  # training images of each class in each file


def _sum(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def pixels(classes: np.ndarray, seed: int) -> np.ndarray:
    """(N, 3, 32, 32), whose first red pixel is the class and whose last blue one is the seed."""
    found = np.random.default_rng(seed).integers(0, 256, (len(classes), 3, 32, 32), dtype=np.uint8)
    found[:, 0, 0, 0], found[:, 2, -1, -1] = classes, seed
    return found


def write_cifar(folder: Path, name: str, patch: pytest.MonkeyPatch) -> None:
    """CIFAR10 or CIFAR100 as two training files and a test file, in the order in which torchvision reads them."""
    kind = getattr(datasets, name)
    key, names_key, number = ("labels", "label_names", 10) if name == "CIFAR10" else (
        "fine_labels", "fine_label_names", 100)  # fmt: skip
    base = folder / kind.base_folder
    base.mkdir(parents=True)
    for seed, file in enumerate(("first", "second", "tested")):
        classes = np.arange(number * EACH) % number
        data = pixels(classes, seed).reshape(len(classes), -1)
        (base / file).write_bytes(pickle.dumps({"data": data, key: classes.tolist()}))
    (base / "names").write_bytes(pickle.dumps({names_key: [f"class {n}" for n in range(number)]}))
    listed = {file: [file, _sum(base / file)] for file in ("first", "second", "tested")}
    patch.setattr(kind, "train_list", [listed["first"], listed["second"]])
    patch.setattr(kind, "test_list", [listed["tested"]])
    patch.setattr(kind, "meta", {"filename": "names", "key": names_key, "md5": _sum(base / "names")})


def write_svhn(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The house numbers, in which 10 stands for the digit 0."""
    found = {}
    for seed, part in enumerate(("train", "test")):
        classes = np.arange(10 * EACH) % 10
        path = folder / f"{part}_32x32.mat"
        digits = np.where(classes == 0, 10, classes)
        savemat(path, {"X": pixels(classes, seed).transpose(2, 3, 1, 0), "y": digits[:, None].astype(np.uint8)})
        found[part] = ["http://127.0.0.1:9/", path.name, _sum(path)]
    patch.setattr(datasets.SVHN, "split_list", found)


def fake_openml(patch: pytest.MonkeyPatch, number: int = 120) -> None:
    """What scikit-learn returns of a table of images, without asking anybody."""
    classes = np.arange(number) % 10

    def fetch(**asked):
        assert asked["data_id"]
        return pixels(classes, 0).reshape(number, -1).astype(float), classes.astype(str)

    patch.setattr("sklearn.datasets.fetch_openml", fetch)
