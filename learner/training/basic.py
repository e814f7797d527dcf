"""basic: a net from scratch on the labeled images alone."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from learner.augment import AUGMENTATIONS
from learner.config import BasicSettings
from learner.data import ImageSet
from learner.device import generator, pick_device, seeded
from learner.errors import NotFinite
from learner.events import Progress
from learner.models import MODELS
from learner.predict import as_input
from learner.training import Task, labeled_ids, require_two_classes
from learner.training.net import NetClassifier, require_stochastic

SMALL = 16  # px: up to here a plain net and a short training suffice
REPORTS = 40  # in a training
Recipe = tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]
UNHEARD = 50  # steps at most between two reports: a long training must hear that it shall stop


def train(task: Task, settings: BasicSettings) -> NetClassifier:
    """A net whose averaged weights predict. Raises TooFewLabels, BadSetting, NoDropout, NotFinite."""
    require_two_classes(task)
    if "mc" in task.needs:
        require_stochastic(settings.bayesian, settings.dropout, settings.block_dropout)
    device = pick_device()
    net = _build(task, settings).to(device, memory_format=torch.channels_last)
    height, width = task.images.pixels.shape[1:3]
    net = _fit(net, task, settings, device)
    return NetClassifier(net, (height, width), device, settings.bayesian, settings.mc_samples)


def _is_small(images: ImageSet) -> bool:
    height, width = images.pixels.shape[1:3]
    return bool(max(height, width) <= SMALL)


def _build(task: Task, settings: BasicSettings) -> Any:
    """A fresh net that knows the colours of the images."""
    shape = {key: getattr(settings, key) for key in ("width", "dropout", "block_dropout")}
    kind = "conv" if _is_plain(task, settings) else "wrn"
    if kind == "wrn":
        shape["depth"] = settings.depth or 28
    with seeded(task.stream("init"), torch.device("cpu")):
        net = MODELS[kind].load()(task.num_classes, **shape)
    mean, std = _colors(task.images)
    net.mean.copy_(mean[:, None, None])
    net.std.copy_(std[:, None, None])
    return net


def _is_plain(task: Task, settings: BasicSettings) -> bool:
    return _is_small(task.images) and not settings.depth


def _colors(images: ImageSet) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over an even sample of the set, in [0, 1]: (3,), (3,)."""
    if "colors" not in images.memo:
        sample = images.take(images.ids[:: max(1, len(images) // 500)]).reshape(-1, 3) / np.float32(255)
        images.memo["colors"] = sample.mean(axis=0), sample.std(axis=0).clip(min=1e-2)
    mean, std = images.memo["colors"]
    return torch.from_numpy(mean), torch.from_numpy(std)


def _fit(net: Any, task: Task, settings: BasicSettings, device: torch.device) -> Any:
    """Train `net`; the averaged copy, in evaluation mode."""
    steps = settings.steps or (300 if _is_small(task.images) else 2000)
    recipe = _adamw if _is_plain(task, settings) else _sgd
    optimizer, schedule = recipe(net, settings, steps)
    decay = min(settings.ema_decay, max(0.0, 1 - 10 / steps))  # a short run would average in where it began
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(net, multi_avg_fn=average, use_buffers=True)
    every = min(max(1, steps // REPORTS), UNHEARD)
    rng = task.stream("data")
    batches = _batches(task, settings, generator(rng), device)
    with seeded(rng, device):
        for step in range(1, steps + 1):
            loss = _step(net, optimizer, *next(batches), settings.label_smoothing)
            schedule.step()
            averaged.update_parameters(net)
            if step % every == 0 or step == steps:
                _check(loss, step, settings)
                task.report(Progress("training", step, steps))
    return averaged.module.eval()


def _adamw(net: Any, settings: BasicSettings, steps: int) -> Recipe:
    """For the plain net: AdamW, the rate rising for a third of the steps, then falling to nothing."""
    rate = settings.learning_rate or 0.004
    optimizer = torch.optim.AdamW(_groups(net, settings.weight_decay, 0.05), lr=rate)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1)


def _sgd(net: Any, settings: BasicSettings, steps: int) -> Recipe:
    """For residual nets, as the literature trains them."""
    groups = _groups(net, settings.weight_decay, 5e-4)
    optimizer = torch.optim.SGD(groups, lr=settings.learning_rate or 0.03, momentum=0.9, nesterov=True)
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


def _groups(net: Any, decay: float, usual: float) -> list[dict[str, Any]]:
    """Weight decay (-1: the usual) on kernels, not on norms and biases."""
    parameters = list(net.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": usual if decay < 0 else decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _batches(
    task: Task, settings: BasicSettings, draws: torch.Generator, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless augmented batches ((B, 3, H, W) in [0, 1], (B,)) out of reshuffled epochs of any length."""
    size = settings.batch_size
    augment = AUGMENTATIONS[settings.augment or ("affine" if _is_small(task.images) else "weak")]
    ids, labels = labeled_ids(task)
    images = torch.from_numpy(task.images.take(ids)).to(device)  # (n, H, W, 3) uint8
    classes = torch.from_numpy(labels).to(device)
    order = torch.empty(0, dtype=torch.int64)
    while True:
        while len(order) < size:
            order = torch.cat([order, torch.randperm(len(ids), generator=draws)])
        chosen, order = order[:size].to(device), order[size:]
        yield as_input(augment(images[chosen], draws, flip=task.images.flip)), classes[chosen]


def _step(net: Any, optimizer: torch.optim.Optimizer, x: Tensor, classes: Tensor, smoothing: float) -> Tensor:
    """One step down; the loss before it."""
    loss = cross_entropy(net(x), classes, label_smoothing=smoothing)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
    return loss.detach()


def _check(loss: Tensor, step: int, settings: BasicSettings) -> None:
    # A loss that was not finite once never is again, so that a look now and then suffices.
    if not loss.isfinite():
        raise NotFinite(
            f"the training loss is {loss.item()} at step {step}; "
            f"set learning_rate below {settings.learning_rate or 'its usual value'}"
        )
