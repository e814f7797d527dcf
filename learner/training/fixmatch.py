"""fixmatch: a net from scratch on all images: what it says of a weak view for sure, it must say of a strong one."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from learner.augment import AUGMENTATIONS
from learner.config import FixmatchSettings
from learner.device import generator, pick_device, seeded
from learner.models.head import as_input
from learner.randaugment import strong
from learner.training import Task, labeled_ids, require_two_classes, scratch
from learner.training.fit import Said, Stateful, Training
from learner.training.net import NetClassifier, require_stochastic
from learner.training.scratch import Recipe

LABEL_AVERAGE = 0.999  # decay of the running means behind alignment and adaptive thresholds


class Batch(NamedTuple):
    """One step's images in [0, 1]: B labeled, mu * B unlabeled in two views, one after the other; B classes."""

    x: Tensor  # (B + 2 mu B, 3, H, W)
    classes: Tensor  # (B,)


class Losses(NamedTuple):
    """Of one step, on the device."""

    supervised: Tensor  # ()
    unsupervised: Tensor  # ()
    mask_rate: Tensor  # (), share of the unlabeled images that taught something

    def total(self, weight: float) -> Tensor:
        return self.supervised + weight * self.unsupervised


def train(task: Task, settings: FixmatchSettings) -> NetClassifier:
    """A net whose averaged weights predict. Raises TooFewLabels, BadSetting, NoDropout, NotFinite."""
    require_two_classes(task)
    settings = filled(task, settings)
    if "mc" in task.needs:
        require_stochastic(settings.bayesian, settings.dropout, settings.block_dropout)
    device = pick_device()
    net = scratch.build(task, settings).to(device, memory_format=torch.channels_last)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = settings.norm_momentum
    return _fit(net, task, settings, device)


def filled(task: Task, settings: FixmatchSettings) -> FixmatchSettings:
    """With a value for whatever is left to the size of the images: beyond 16 px those of the literature."""
    small, plain = scratch.is_small(task.images), scratch.is_plain(task, settings)
    optimizer = settings.optimizer or ("adamw" if plain else "sgd")
    rate, decay = (0.004, 0.05) if optimizer == "adamw" else (0.03, 5e-4)
    return replace(
        settings,
        optimizer=optimizer,
        steps=settings.steps or (300 if small else 20_000),
        batch_size=settings.batch_size or (32 if small else 64),
        mu=settings.mu or (4 if small else 7),
        augment=settings.augment or ("affine" if small else "weak"),
        learning_rate=settings.learning_rate or rate,
        weight_decay=decay if settings.weight_decay < 0 else settings.weight_decay,
    )


def _classifier(task: Task, settings: FixmatchSettings, device: torch.device, net: Any) -> NetClassifier:
    height, width = task.images.pixels.shape[1:3]
    return NetClassifier(net, (height, width), device, settings.bayesian, settings.mc_samples)


def _fit(net: Any, task: Task, settings: FixmatchSettings, device: torch.device) -> NetClassifier:
    """Train `net`; the averaged copy predicts."""
    finish = partial(_classifier, task, settings, device)
    steps = settings.steps
    optimizer, schedule = _descent(net, settings, steps)
    averaged = scratch.averaged(net, settings.ema_decay, steps)
    rng = task.stream("data")
    batches = Batches(task, settings, generator(rng), device)
    teacher = Teacher(task, settings, device)
    parts: dict[str, Stateful] = {"labeled": batches.labeled, "unlabeled": batches.unlabeled, "teacher": teacher}
    in_one_step = (1 + 2 * settings.mu) * settings.batch_size
    training = Training(
        task, settings, net, optimizer, schedule, averaged, batches.draws, device, steps, in_one_step, finish, parts
    )

    def step() -> Said:
        losses = _step(net, optimizer, next(batches), teacher, settings.unlabeled_weight)
        return Said(losses.total(settings.unlabeled_weight), {"sure of": losses.mask_rate})

    with seeded(rng, device):
        return finish(training.run(step))


def _descent(net: Any, settings: FixmatchSettings, steps: int) -> Recipe:
    """SGD with Nesterov momentum 0.9, or Adam; the rate falls as cos(7 pi k / 16 K), to a fifth. Or one cycle."""
    if settings.optimizer == "adamw":
        return scratch.one_cycle(net, settings.weight_decay, settings.learning_rate, steps)
    decayed = scratch.groups(net, settings.weight_decay)
    optimizer = scratch.descent(decayed, settings.optimizer, settings.learning_rate)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: math.cos(7 * math.pi * k / (16 * steps)))


class Batches:
    """Endless batches. All images count as unlabeled, the labeled ones too."""

    def __init__(self, task: Task, settings: FixmatchSettings, draws: torch.Generator, device: torch.device) -> None:
        ids, classes = labeled_ids(task)
        size = settings.batch_size
        self.draws = draws
        self.labeled = scratch.Shuffled(len(ids), size, draws)
        self.unlabeled = scratch.Shuffled(len(task.images), settings.mu * size, draws)
        self._flip, self._weak = task.images.flip, AUGMENTATIONS[settings.augment]
        self._pixels = scratch.Pixels(task.images, device)
        self._taught = torch.from_numpy(task.images.take(ids)).to(device)  # (n, H, W, 3) uint8
        self._classes = torch.from_numpy(classes).to(device)

    def __next__(self) -> Batch:
        chosen = next(self.labeled).to(self._classes.device)
        unlabeled = self._pixels[next(self.unlabeled)]
        views = (
            self._weak(self._taught[chosen], self.draws, flip=self._flip),
            self._weak(unlabeled, self.draws, flip=self._flip),
            strong(unlabeled, self.draws, flip=self._flip, view=self._weak),
        )
        return Batch(as_input(torch.cat(views)), self._classes[chosen])


class Teacher:
    """Makes pseudo-labels and decides which of them teach. Keeps its running means on the device."""

    def __init__(self, task: Task, settings: FixmatchSettings, device: torch.device) -> None:
        classes = task.num_classes
        counts = torch.bincount(torch.from_numpy(labeled_ids(task)[1]), minlength=classes).float()
        self.wanted = (counts / counts.sum()).to(device)  # of the labels, for alignment
        self.seen = torch.full((classes,), 1 / classes, device=device)  # of the predictions
        self.confidence = torch.tensor(1 / classes, device=device)
        self.settings = settings

    def judge(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """(n, C) of the weak views -> pseudo-labels (n,) and which of them count (n,). Nothing flows back."""
        probs = logits.detach().float().softmax(dim=1)
        settings = self.settings
        if settings.alignment or settings.adaptive:
            self.seen.lerp_(probs.mean(dim=0), 1 - LABEL_AVERAGE)
        if settings.alignment:
            probs = probs * (self.wanted / self.seen.clamp(min=1e-6))
            probs = probs / probs.sum(dim=1, keepdim=True)
        sure, pseudo = probs.max(dim=1)
        if not settings.adaptive:
            return pseudo, sure >= settings.threshold
        self.confidence.lerp_(sure.mean(), 1 - LABEL_AVERAGE)
        thresholds = self.confidence * self.seen / self.seen.max()
        return pseudo, sure >= thresholds[pseudo]

    def state(self) -> dict[str, Tensor]:
        return {"seen": self.seen, "confidence": self.confidence}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.seen.copy_(state["seen"])
        self.confidence.copy_(state["confidence"])


def losses_of(logits: Tensor, classes: Tensor, teacher: Teacher) -> Losses:
    """The losses of FixMatch from the logits of one joint forward: (B + 2 mu B, C), (B,)."""
    size = len(classes)
    weakly, strongly = logits[size:].chunk(2)
    pseudo, counts = teacher.judge(weakly)
    each = cross_entropy(strongly, pseudo, reduction="none") * counts
    return Losses(cross_entropy(logits[:size], classes), each.mean(), counts.float().mean())


def _step(net: Any, optimizer: torch.optim.Optimizer, batch: Batch, teacher: Teacher, weight: float) -> Losses:
    """One step down; the losses before it. One forward for all views: they share their batch statistics."""
    with scratch.mixed(batch.x.device):
        logits = net(batch.x)
    losses = losses_of(logits.float(), batch.classes, teacher)
    optimizer.zero_grad()
    torch.autograd.backward(losses.total(weight))
    optimizer.step()
    return Losses(*(value.detach() for value in losses))
