"""What the methods share that train a net from nothing: the net, its weight decay, its average, its data."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from learner.data import SMALL, ImageSet
from learner.device import seeded
from learner.errors import NotFinite
from learner.models import MODELS
from learner.training import Task

REPORTS = 40  # in a training
RESIDENT = 0.4  # of a graphics card's free memory
UNHEARD = 50  # steps at most between two reports: a long training must hear that it shall stop
Recipe = tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]


class Shape(Protocol):
    """The settings that say what net it is."""

    @property
    def depth(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def dropout(self) -> float: ...
    @property
    def block_dropout(self) -> float: ...
    @property
    def architecture(self) -> str: ...
    @property
    def warm_start(self) -> bool: ...


def is_small(images: ImageSet) -> bool:
    """Up to here a plain net and a short training suffice."""
    height, width = images.pixels.shape[1:3]
    return bool(max(height, width) <= SMALL)


def is_plain(task: Task, settings: Shape) -> bool:
    """Do the settings ask for the plain net of small images?"""
    return architecture(task, settings) == "conv"


def architecture(task: Task, settings: Shape) -> str:
    """The name in MODELS: what the settings say, else what suits the size of the images."""
    return settings.architecture or ("conv" if is_small(task.images) and not settings.depth else "wrn")


def build(task: Task, settings: Shape) -> Any:
    """A fresh net that knows the colours of the images; with warm_start, one that knows what the last one knew."""
    kind = architecture(task, settings)
    shape = {"dropout": settings.dropout, "block_dropout": settings.block_dropout}
    if kind in ("wrn", "conv"):
        shape["width"] = settings.width
    if kind == "wrn":
        shape["depth"] = settings.depth or 28
    with seeded(task.stream("init"), torch.device("cpu")):
        net = MODELS[kind].load()(task.num_classes, **shape)
    before = task.previous() if settings.warm_start else None
    if before is not None and (before.kind, before.arguments) == (net.kind, net.arguments):
        net.load_state_dict(before.state_dict())
    mean, std = _colors(task.images)
    net.mean.copy_(mean[:, None, None])
    net.std.copy_(std[:, None, None])
    return net


def _colors(images: ImageSet) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over an even sample of the set, in [0, 1]: (3,), (3,)."""
    if "colors" not in images.memo:
        sample = images.take(images.ids[:: max(1, len(images) // 500)]).reshape(-1, 3) / np.float32(255)
        images.memo["colors"] = sample.mean(axis=0), sample.std(axis=0).clip(min=1e-2)
    mean, std = images.memo["colors"]
    return torch.from_numpy(mean), torch.from_numpy(std)


def groups(net: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay on kernels, not on norms and biases."""
    parameters = list(net.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def one_cycle(net: nn.Module, decay: float, rate: float, steps: int) -> Recipe:
    """For the plain net: AdamW, the rate rising for a third of the steps, then falling to nothing."""
    optimizer = torch.optim.AdamW(groups(net, decay), lr=rate)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1)


def descent(groups: list[dict[str, Any]], name: str, rate: float) -> torch.optim.Optimizer:
    """adam, or sgd, with Nesterov momentum 0.9, as the literature trains residual nets."""
    if name == "adam":
        return torch.optim.Adam(groups, lr=rate)
    return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)


def length(steps: int, epochs: int, labels: int, batch: int) -> int:
    """Training steps: `steps`, or as many as so many passes over the labels take, where these are more."""
    return max(steps, math.ceil(epochs * labels / batch))


def averaged(net: nn.Module, decay: float, steps: int) -> AveragedModel:
    """The exponential moving average of weights and buffers; a short run would average in where it began."""
    average = get_ema_multi_avg_fn(min(decay, max(0.0, 1 - 10 / steps)))  # type: ignore[no-untyped-call]
    return AveragedModel(net, multi_avg_fn=average, use_buffers=True)


def report_every(steps: int) -> int:
    """Steps between two reports."""
    return min(max(1, steps // REPORTS), UNHEARD)


class Shuffled:
    """Endless batches of (size,) rows out of reshuffled epochs of any length."""

    def __init__(self, number: int, size: int, draws: torch.Generator) -> None:
        self._number, self._size, self._draws = number, size, draws
        self._order = torch.empty(0, dtype=torch.int64)  # what is left of the epoch

    def __iter__(self) -> "Shuffled":
        return self

    def __next__(self) -> Tensor:
        while len(self._order) < self._size:
            self._order = torch.cat([self._order, torch.randperm(self._number, generator=self._draws)])
        rows, self._order = self._order[: self._size], self._order[self._size :]
        return rows

    def state(self) -> dict[str, Tensor]:
        return {"order": self._order.clone()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._order = state["order"]


class Pixels:
    """The images of a set by position, on the device: resident where they fit, else fetched from pinned memory."""

    def __init__(self, images: ImageSet, device: torch.device) -> None:
        self._images, self._device = images, device
        self._resident = torch.from_numpy(images.take(images.ids)).to(device) if _fits(images, device) else None

    def __getitem__(self, rows: Tensor) -> Tensor:
        """(n,) positions, on the CPU -> (n, H, W, 3) uint8 on the device."""
        if self._resident is not None:
            return self._resident[rows.to(self._device)]
        pixels = torch.from_numpy(self._images.take(self._images.ids[rows.numpy()]))
        return pixels.pin_memory().to(self._device, non_blocking=True) if self._device.type == "cuda" else pixels


def _fits(images: ImageSet, device: torch.device) -> bool:
    """Memory of a graphics card is copied to once; a CPU reads where the images are."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    size = images.pixels.shape[1] * images.pixels.shape[2] * 3 * len(images)
    return bool(size <= RESIDENT * free)


def mixed(device: torch.device) -> torch.autocast:
    """bfloat16 on a graphics card; on a CPU it was measured to be slower, and is off."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def require_finite(loss: Tensor, step: int, rate: float) -> None:
    """Raises NotFinite. A loss that was not finite once never is again, so that a look now and then suffices."""
    if not loss.isfinite():
        raise NotFinite(f"the training loss is {loss.item()} at step {step}; set learning_rate below {rate:g}")
