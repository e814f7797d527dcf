"""basic: a net from scratch on the labeled images alone."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from learner.augment import AUGMENTATIONS
from learner.config import BasicSettings
from learner.device import generator, pick_device, seeded
from learner.models.head import as_input
from learner.training import Task, labeled_ids, require_two_classes, scratch
from learner.training.fit import Said, Training
from learner.training.net import NetClassifier, require_stochastic
from learner.training.scratch import Recipe


def train(task: Task, settings: BasicSettings) -> NetClassifier:
    """A net whose averaged weights predict. Raises TooFewLabels, BadSetting, NoDropout, NotFinite."""
    require_two_classes(task)
    if "mc" in task.needs:
        require_stochastic(settings.bayesian, settings.dropout, settings.block_dropout)
    device = pick_device()
    net = scratch.build(task, settings).to(device, memory_format=torch.channels_last)
    return _fit(net, task, settings, device)


def _classifier(task: Task, settings: BasicSettings, device: torch.device, net: Any) -> NetClassifier:
    height, width = task.images.pixels.shape[1:3]
    return NetClassifier(net, (height, width), device, settings.bayesian, settings.mc_samples)


def _fit(net: Any, task: Task, settings: BasicSettings, device: torch.device) -> NetClassifier:
    """Train `net`; the averaged copy predicts."""
    finish = partial(_classifier, task, settings, device)
    steps = settings.steps or (300 if scratch.is_small(task.images) else 2000)
    steps = scratch.length(steps, settings.epochs, len(labeled_ids(task)[0]), settings.batch_size)
    optimizer, schedule = _descent(net, settings, settings.optimizer or _usual(task, settings), steps)
    averaged = scratch.averaged(net, settings.ema_decay, steps)
    rng = task.stream("data")
    batches = Batches(task, settings, generator(rng), device)
    training = Training(
        task, settings, net, optimizer, schedule, averaged, batches.draws, device, steps, settings.batch_size,
        finish, {"rows": batches.rows},
    )  # fmt: skip
    with seeded(rng, device):
        return finish(training.run(lambda: Said(descend(net, optimizer, *next(batches), settings.label_smoothing))))


def _usual(task: Task, settings: BasicSettings) -> str:
    """The optimiser where none is set."""
    return "adamw" if scratch.is_plain(task, settings) else "sgd"


def _descent(net: Any, settings: BasicSettings, optimizer: str, steps: int) -> Recipe:
    """SGD with Nesterov momentum 0.9, or Adam, the rate falling as a cosine. Or one cycle."""
    usual = (0.004, 0.05) if optimizer == "adamw" else (0.03, 5e-4)
    rate = settings.learning_rate or usual[0]
    decay = usual[1] if settings.weight_decay < 0 else settings.weight_decay
    if optimizer == "adamw":
        return scratch.one_cycle(net, decay, rate, steps)
    found = scratch.descent(scratch.groups(net, decay), optimizer, rate)
    return found, torch.optim.lr_scheduler.CosineAnnealingLR(found, steps)


class Batches:
    """Endless augmented batches: (B, 3, H, W) in [0, 1], (B,)."""

    def __init__(self, task: Task, settings: BasicSettings, draws: torch.Generator, device: torch.device) -> None:
        ids, labels = labeled_ids(task)
        self.draws, self.rows = draws, scratch.Shuffled(len(ids), settings.batch_size, draws)
        self._augment = AUGMENTATIONS[settings.augment or ("affine" if scratch.is_small(task.images) else "weak")]
        self._flip = task.images.flip
        self._images = torch.from_numpy(task.images.take(ids)).to(device)  # (n, H, W, 3) uint8
        self._classes = torch.from_numpy(labels).to(device)

    def __next__(self) -> tuple[Tensor, Tensor]:
        chosen = next(self.rows).to(self._images.device)
        return as_input(self._augment(self._images[chosen], self.draws, flip=self._flip)), self._classes[chosen]


def descend(net: Any, optimizer: torch.optim.Optimizer, x: Tensor, classes: Tensor, smoothing: float) -> Tensor:
    """One step down; the loss before it."""
    with scratch.mixed(x.device):
        logits = net(x)
    loss = cross_entropy(logits.float(), classes, label_smoothing=smoothing)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
    return loss.detach()
