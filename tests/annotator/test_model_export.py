"""The model, taken away: what its files say, and that the lines of docs/model.md work as they stand."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from annotator.cli import main
from learner import checkpoint
from learner.models import MODELS
from learner.training import METHODS

DOC = Path(__file__).parents[2] / "docs/model.md"


def export(instance, out, *more):
    return CliRunner().invoke(main, ["export", "model", "-o", str(out), "--instance", str(instance), *more])


def snippet(having):
    """The block of Python in the docs that has this line."""
    return next(block for block in re.findall(r"```python\n(.*?)```", DOC.read_text(), re.S) if having in block)


def said(having, folder, monkeypatch):
    """Class -> probability, as the lines in the docs print it when they run in this folder."""
    monkeypatch.chdir(folder)
    found = {}
    exec(snippet(having), {"__name__": "docs", "print": found.update})
    return found


def photo(folder):
    """new.png, taller than wide by an odd number; returns the pixels that our own code makes of it at 24 px."""
    from annotator.images import read_training

    pixels = np.random.default_rng(3).integers(0, 256, (41, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "new.png")
    return read_training((folder / "new.png").read_bytes(), 24)[0][None]


def saved(folder, kind, **arguments):
    torch.manual_seed(0)
    net = MODELS[kind].load()(num_classes=3, **arguments).eval()
    checkpoint.save_net(folder / "model", net, ["cat", "dog", "owl"], (24, 24))
    return checkpoint.load(folder / "model")


def test_the_card_says_how_the_model_came_about(learned, tmp_path):
    assert export(learned, tmp_path / "m").exit_code == 0
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    assert (card["round"], card["labels"], card["classes"]) == (1, 10, ["cat", "dog"])
    assert card["method"] in METHODS
    assert card["accuracy"] is None
    assert torch.__version__.startswith(card["libraries"]["torch"])


def test_without_the_library_onnx_is_one_line_and_nothing_is_written(learned, tmp_path, monkeypatch):
    monkeypatch.setattr("learner.onnx_file.find_spec", lambda name: None)
    result = export(learned, tmp_path / "m", "--onnx")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "pip install 'annotator[onnx]'" in result.output
    assert not (tmp_path / "m").exists()


def test_only_the_model_leaves_as_onnx(learned, tmp_path):
    result = CliRunner().invoke(main, ["export", "csv", "--onnx", "--instance", str(learned)])
    assert (result.exit_code, "unknown setting 'onnx'" in result.output) == (1, True)


def test_the_lines_for_pytorch_say_what_the_model_says(tmp_path, monkeypatch):
    loaded, pixels = saved(tmp_path, "conv"), photo(tmp_path)
    found = said("checkpoint.load", tmp_path, monkeypatch)
    assert found == dict(zip(loaded.classes, loaded.predict(np.array(pixels))[0].tolist(), strict=True))


def test_the_lines_for_timm_need_nothing_of_ours_and_say_the_same(tmp_path, monkeypatch):
    loaded, pixels = saved(tmp_path, "backbone", name="test_efficientnet.r160_in1k", size=64), photo(tmp_path)
    assert "learner" not in snippet("timm.create_model")
    found = said("timm.create_model", tmp_path, monkeypatch)
    assert list(found) == loaded.classes
    assert list(found.values()) == pytest.approx(loaded.predict(np.array(pixels))[0].tolist(), abs=1e-5)


def test_a_pretrained_net_comes_with_the_license_of_its_weights(tmp_path):
    saved(tmp_path, "backbone", name="test_efficientnet.r160_in1k", size=64)
    card = json.loads((tmp_path / "model" / "model.json").read_text())
    assert card["pretrained"] == {"name": "test_efficientnet.r160_in1k", "license": "apache-2.0"}
    assert card["normalization"] == {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
