"""Models as files: what is saved comes back, and whatever else lies there is refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from learner import checkpoint
from learner.errors import LearnerError
from learner.models.wrn import WideResNet

NAMES = ["<img onerror=alert(1)>", "../x", "🐈"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoint.save_net(tmp_path / "model", WideResNet(3, 10, 1).eval(), NAMES, (8, 10))
    return tmp_path / "model"


def change(folder: Path, **meta: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | meta))


def test_there_are_two_files_and_no_pickle(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]
    assert checkpoint.load(folder).classes == NAMES


def test_a_loaded_model_predicts_any_number_of_images(folder):
    loaded = checkpoint.load(folder)
    pixels = np.random.default_rng(0).integers(0, 256, (130, 8, 10, 3)).astype(np.uint8)
    probs = loaded.predict(pixels)
    assert torch.allclose(probs.sum(dim=1), torch.ones(130))
    assert torch.allclose(loaded.predict(pixels[:3]), probs[:3], atol=1e-6)
    assert loaded.predict(pixels[:0]).shape == (0, 3)


def test_saving_again_replaces_both_files(folder):
    checkpoint.save_net(folder, WideResNet(2, 10, 1).eval(), ["a", "b"], (8, 8))
    assert checkpoint.load(folder).predict(np.zeros((1, 8, 8, 3), np.uint8)).shape == (1, 2)


def test_what_a_killed_process_left_is_replaced(folder):
    for name in ("model.safetensors.part", "model.json.part"):
        (folder / name).write_bytes(b"half")
    checkpoint.save_net(folder, WideResNet(3, 10, 1).eval(), NAMES, (8, 10))
    test_there_are_two_files_and_no_pickle(folder)


def test_other_pixels_are_refused(folder):
    with pytest.raises(LearnerError, match="reads images of 8 x 10 x 3 uint8"):
        checkpoint.load(folder).predict(np.zeros((1, 8, 8, 3), np.uint8))


def test_names_for_other_classes_are_refused(tmp_path):
    with pytest.raises(LearnerError, match="3 classes, 2 are named"):
        checkpoint.save_net(tmp_path, WideResNet(3, 10, 1), ["a", "b"], (8, 8))


def test_a_missing_model_says_where(tmp_path):
    with pytest.raises(LearnerError, match="no model in"):
        checkpoint.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"format": 2}, "this version reads 1"),
        ({"kind": "pickle"}, "choose from wrn, conv, wide_resnet50_2, backbone, encoder, head"),
        ({"classes": ["a"]}, "1 class names for 3"),
        ({"classes": 7}, "damaged"),
        ({"image_size": [8]}, "damaged"),
        ({"arguments": {"num_classes": 3, "depth": 10**9}}, "no setting of 1000000000"),
        ({"arguments": {"num_classes": 3, "depth": "10"}}, "damaged"),
        ({"arguments": {"num_classes": 4, "depth": 10, "width": 1}}, "size mismatch"),
        ({"arguments": {"num_classes": 3, "cat": 1}}, "damaged"),
        ({"kind": "backbone", "arguments": {"num_classes": 3, "name": "hf-hub:a/b"}}, "timm has no net"),
        ({"kind": "backbone", "arguments": {"num_classes": 3, "name": "test_vit"}}, "damaged"),
        ({"kind": "backbone", "arguments": {"num_classes": 3, "name": "x" * 1000}}, "name of 1000 characters"),
        ({"arguments": None}, "damaged"),
    ],
)
def test_what_is_not_understood_is_refused(folder, meta, said):
    change(folder, **meta)
    with pytest.raises(LearnerError, match=said):
        checkpoint.load(folder)


def test_weights_of_another_model_are_refused(folder, tmp_path):
    checkpoint.save_net(tmp_path / "other", WideResNet(3, 10, 1), NAMES, (8, 10))
    (tmp_path / "other" / "model.safetensors").replace(folder / "model.safetensors")
    with pytest.raises(LearnerError, match="does not belong to its"):
        checkpoint.load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_any_other_file_in_place_of_the_description_is_refused(folder, content):
    (folder / "model.json").write_bytes(content)
    with pytest.raises(LearnerError, match="damaged"):
        checkpoint.load(folder)
