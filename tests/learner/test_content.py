"""What lies in the files of a cell decides its rows as much as their names do."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from learner.benchmark.content import with_content
from learner.benchmark.study import cells


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """Files of every kind that a cell may name, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("x.npz", "noise.csv", "net.safetensors", "shapes/a/1.png", "shapes/b/1.png", "shapes/b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def key(**grid: object) -> str:
    """Of the only cell of the grid, as the files are now."""
    (cell,) = with_content(list(cells({"seeds": 1, **grid})))
    return cell.key


NAMING = {
    "x.npz": {"dataset": "npz:x.npz@no-flip"},
    "shapes/b/1.png": {"dataset": "folder:shapes@16@modified"},
    "noise.csv": {"oracle": "noisy:noise.csv"},
    "net.safetensors": {"method": "frozen", "method_settings": {"frozen": {"weights": "net.safetensors"}}},
}


@pytest.mark.parametrize("name", NAMING)
def test_other_content_under_the_same_name_is_another_cell(here, name):
    before, said = key(**NAMING[name]), (here / name).read_bytes()
    (here / name).write_bytes(said[::-1])
    assert key(**NAMING[name]) != before
    (here / name).write_bytes(said)
    os.utime(here / name, (1, 1))  # a copy that is younger or older is the same data
    assert key(**NAMING[name]) == before


@pytest.mark.parametrize("change", ["added", "removed", "renamed"])
def test_the_images_of_a_folder_are_its_content_and_nothing_else_is(here, change):
    before = key(dataset="folder:shapes")
    (here / "shapes/b/notes.txt").write_text("other notes")
    assert key(dataset="folder:shapes") == before
    image = here / "shapes/a/1.png"
    {
        "added": lambda: (here / "shapes/a/2.png").write_bytes(b""),
        "removed": image.unlink,
        "renamed": lambda: image.rename(here / "shapes/a/0.png"),
    }[change]()
    assert key(dataset="folder:shapes") != before


@pytest.mark.parametrize("dataset", ["digits", "cifar10@modified", "openml:40927"])
@pytest.mark.parametrize("oracle", ["ground-truth", "noisy:0.1"])
def test_what_names_no_file_has_the_key_that_it_had_before_content_counted(dataset, oracle):
    (cell,) = cells({"dataset": dataset, "oracle": oracle, "seeds": 1})
    text = json.dumps({name: value for name, value in asdict(cell).items() if name != "content"}, sort_keys=True)
    assert key(dataset=dataset, oracle=oracle) == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert "content" not in cell.describe()


def test_a_file_is_read_once_for_all_cells(here, monkeypatch):
    read = []
    monkeypatch.setattr("learner.benchmark.content.digest_of", lambda path: read.append(path) or "abc")
    with_content(list(cells({"dataset": ["npz:x.npz", "npz:x.npz@modified"], "seeds": 3})))
    assert read == [Path("x.npz")]
