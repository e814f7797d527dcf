"""Arrows point one way: annotator -> learner, and inside learner from the loop down to the settings."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEVELS = [
    {"errors", "registry", "settings", "config", "events", "rng", "intervals"},
    {"data", "device"},
    {"augment", "datasets", "features", "models", "randaugment"},
    {"predict", "checkpoint", "evaluate", "onnx_file"},
    {"acquisition", "training"},
    {"project", "doubts"},
    {"questions"},
    {"loop", "oracles"},
    {"simulate"},
    {"benchmark"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
FILES = sorted((ROOT / "learner").rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, wherever in the file; not those for type checking alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports(node)


def imported(path: Path) -> list[list[str]]:
    return [name.split(".") for name in imports(ast.parse(path.read_text()))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_learner_never_imports_the_annotator(path):
    assert not [
        name for name in imported(path) if name[0] in ("annotator", "flask", "click", "sqlite_utils", "sqlite3")
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_inside_the_learner_imports_never_point_up(path):
    own = path.relative_to(ROOT / "learner").parts[0].removesuffix(".py")
    used = [name[1] for name in imported(path) if name[0] == "learner"]
    assert not [name for name in used if own != "__init__" and LEVEL[name] > LEVEL[own]]


def test_every_file_of_the_learner_has_a_level():
    parts = {path.relative_to(ROOT / "learner").parts[0].removesuffix(".py") for path in FILES}
    assert parts - {"__init__"} == LEVEL.keys()


def test_a_registry_costs_neither_torch_nor_scikit_learn_nor_baal():
    registries = "learner.training, learner.acquisition, learner.config, learner.models, learner.features"
    code = f"import sys, {registries}, learner.datasets, learner.benchmark.engines; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"torch", "sklearn", "baal", "scipy", "ray"} & set(loaded.stdout.split())
