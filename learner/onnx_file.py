"""A saved classifier as model.onnx: bytes of images in, probabilities out, everything between them in one graph."""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from learner import checkpoint
from learner.errors import LearnerError
from learner.models.backbone import Backbone
from learner.models.encoder import ConvEncoder
from learner.models.head import PixelHead, as_input

FILE = "model.onnx"
OPSET = 17  # ONNX 1.12, of 2022: runtimes that are in use read it
INPUT, OUTPUT = "images", "probabilities"


def write(folder: Path) -> None:
    """Put model.onnx beside the model saved in `folder`. LearnerError without the library `onnx`.

    `images` (N, H, W, 3) uint8 of the model's image size, N free -> `probabilities` (N, C) float32.
    """
    require_library()
    loaded = checkpoint.load(folder)
    example = torch.zeros(2, *loaded.image_size, 3, dtype=torch.uint8)
    part = folder / f"{FILE}.part"
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the other exporter needs one library more; sizes in the trace are meant
        torch.onnx.export(
            Graph(loaded.net, loaded.image_size).eval(), (example,), str(part), dynamo=False, opset_version=OPSET,
            input_names=[INPUT], output_names=[OUTPUT], dynamic_axes={INPUT: {0: "n"}, OUTPUT: {0: "n"}},
        )  # fmt: skip
    part.replace(folder / FILE)


def require_library() -> None:
    if find_spec("onnx") is None:
        raise LearnerError("model.onnx needs the library onnx: pip install 'annotator[onnx]'")


class Graph(nn.Module):
    """The net with what comes before and after it.

    ONNX has no antialiased bicubic resize, and no average over windows of unequal size. Both are linear and the same
    for rows and columns apart, so here they are two products with matrices, and the net's own resizing has nothing left
    to do.
    """

    rows: Tensor  # (h, H)
    columns: Tensor  # (w, W)

    def __init__(self, net: Any, size: tuple[int, int]) -> None:
        super().__init__()
        self.net, self.is_bicubic = net, isinstance(net, Backbone)
        wanted = _seen(net) or size
        self.is_resized = wanted != size
        for name, given, asked in zip(("rows", "columns"), size, wanted, strict=True):
            self.register_buffer(name, _resizing(given, asked, self.is_bicubic))

    def forward(self, images: Tensor) -> Tensor:
        x = as_input(images)
        if self.is_resized:
            x = self.rows @ x @ self.columns.T
            x = x.clamp(0, 1) if self.is_bicubic else x
        probs: Tensor = self.net(x).softmax(dim=1)
        return probs


def _seen(net: Any) -> tuple[int, int] | None:
    """(h, w) that the net brings every image to; None: it takes them as they are."""
    if isinstance(net, PixelHead):
        return (int(net.low[0]), int(net.low[1]))
    side = {Backbone: "size", ConvEncoder: "side"}.get(type(net))
    return (getattr(net, side),) * 2 if side else None


def _resizing(given: int, wanted: int, is_bicubic: bool) -> Tensor:
    """(wanted, given): what each pixel of one axis becomes, found by resizing the unit vectors."""
    units = torch.eye(given)[None, None]  # (1, 1, given, given)
    if is_bicubic:
        return interpolate(units, (wanted, given), mode="bicubic", antialias=True)[0, 0]
    return adaptive_avg_pool2d(units, (wanted, given))[0, 0]
