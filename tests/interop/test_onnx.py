"""model.onnx: ONNX Runtime gives the probabilities that the model itself gives, on renditions of real digits."""

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_digits

from annotator.cli import main
from annotator.images import training_pixels
from learner import checkpoint, onnx_file
from learner.models import MODELS

pytestmark = pytest.mark.interop
DOC = Path(__file__).parents[2] / "docs/model.md"
SIDE = 20
NETS = {  # with sizes that the net has to bring the images to, larger and smaller, and no multiples of theirs
    "head": {"low": [6, 9], "components": 5},
    "wrn": {"depth": 10, "width": 1},
    "conv": {},
    "encoder": {"side": 32},
    "backbone": {"name": "test_efficientnet.r160_in1k", "size": 48},
    "wide_resnet50_2": {},
}


def digits(count):
    """(count, SIDE, SIDE, 3) uint8."""
    images = (load_digits().images[:count] * 255 / 16).astype(np.uint8)
    return np.stack([training_pixels(Image.fromarray(image).convert("RGB"), SIDE) for image in images])


def saved(folder, kind, **arguments):
    torch.manual_seed(0)
    net = MODELS[kind].load()(num_classes=10, **arguments).eval()
    for name, values in net.named_buffers():
        if name == "components":
            values.normal_()  # zeros else: every image would be the same
    net.head.linear.weight.data.mul_(20)  # so that the classes are far apart
    checkpoint.save_net(folder, net, [str(digit) for digit in range(10)], (SIDE, SIDE))
    return checkpoint.load(folder)


def test_every_model_is_compared():
    assert set(NETS) == set(MODELS)


@pytest.mark.parametrize("kind", NETS)
def test_the_runtime_says_what_the_model_says(tmp_path, kind):
    loaded, pixels = saved(tmp_path, kind, **NETS[kind]), digits(7)
    onnx_file.write(tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    expected, found = loaded.predict(pixels).numpy(), session.run(None, {"images": pixels})[0]
    assert np.ptp(expected, axis=0).max() > 1e-3  # the images differ
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert session.run(None, {"images": pixels[:1]})[0].shape == (1, 10)


def test_the_lines_in_the_docs_say_what_the_exported_model_says(learned, tmp_path, monkeypatch):
    result = CliRunner().invoke(
        main, ["export", "model", "--onnx", "-o", str(tmp_path / "model"), "--instance", str(learned)]
    )
    assert (result.exit_code, result.output) == (0, f"{tmp_path / 'model'}: 3 written\n")
    onnx.checker.check_model(onnx.load(tmp_path / "model" / "model.onnx"), full_check=True)
    Image.new("RGB", (41, 30), (35, 60, 35)).save(tmp_path / "new.png")
    monkeypatch.chdir(tmp_path)
    lines = next(part for part in re.findall(r"```python\n(.*?)```", DOC.read_text(), re.S) if "onnxruntime" in part)
    found = {}
    exec(lines, {"print": found.update})
    loaded = checkpoint.load(Path("model"))
    pixels = training_pixels(Image.open("new.png"), loaded.image_size[0])
    assert list(found.values()) == pytest.approx(loaded.predict(np.array(pixels[None]))[0].tolist(), abs=1e-4)
