"""Embeddings of a pretrained net of timm."""

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from learner.config import BackboneFeatures
from learner.data import ByteArray, ImageSet
from learner.device import pick_device
from learner.events import Progress
from learner.features import FloatArray, Report
from learner.models import weights
from learner.models.backbone import Backbone
from learner.models.head import as_input

AREA = 64 * 96**2  # pixels at once on a CPU: a batch is heard of every second or so


@dataclass(frozen=True, eq=False)
class BackboneExtractor:
    """A net in evaluation mode, in float32."""

    trunk: Backbone
    device: torch.device
    batch: int
    about: dict[str, Any]

    @property
    def side(self) -> int:
        return self.trunk.size

    @property
    def width(self) -> int:
        return len(self.trunk.center)

    def __call__(self, pixels: ByteArray) -> FloatArray:
        with torch.inference_mode():
            x = as_input(torch.from_numpy(pixels).to(self.device))
            rows: FloatArray = self.trunk.embed(x).cpu().numpy()
        return rows

    def net(self, num_classes: int, hidden: int, dropout: float) -> Backbone:
        changed = {"num_classes": num_classes, "hidden": hidden, "dropout": dropout}
        net = Backbone(**(self.trunk.arguments | changed))
        net.net.load_state_dict(self.trunk.net.state_dict())
        return net


def fit_backbone(images: ImageSet, argument: str, settings: BackboneFeatures, report: Report) -> BackboneExtractor:
    """Nothing is fitted: the net of this name with its weights. Raises UnknownName, BadSetting, WeightsError."""
    report(Progress(f"loading the weights of {argument}", 0, 0))
    return _extractor(argument, settings)


@lru_cache(maxsize=2)
def _extractor(name: str, settings: BackboneFeatures) -> BackboneExtractor:
    shape: dict[str, Any] = {key: value for key, value in asdict(settings).items() if key != "weights"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # where the weights are random, they are the same everywhere
        trunk = Backbone(1, name, **shape)
    weights.load(trunk.net, name, settings.weights)
    device = pick_device()
    trunk.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
    batch = 256 if device.type == "cuda" else max(1, min(64, AREA // trunk.size**2))
    about = {"name": name, **shape, "size": trunk.size, "weights": digest(trunk.net)}
    return BackboneExtractor(trunk, device, batch, about)


def digest(net: torch.nn.Module) -> str:
    """SHA-256 of all weights."""
    value = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        value.update(name.encode() + np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    return value.hexdigest()
