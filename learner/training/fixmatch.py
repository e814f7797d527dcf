"""fixmatch: a net from scratch on all images: what it says of a weak view for sure, it must say of a strong one."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from learner.augment import weak
from learner.config import FixmatchSettings
from learner.device import generator, pick_device, seeded
from learner.events import Progress
from learner.predict import as_input
from learner.randaugment import strong
from learner.training import Task, labeled_ids, require_two_classes, scratch
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
    if "mc" in task.needs:
        require_stochastic(settings.bayesian, settings.dropout, settings.block_dropout)
    device = pick_device()
    net = scratch.build(task, settings).to(device, memory_format=torch.channels_last)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = settings.norm_momentum
    height, width = task.images.pixels.shape[1:3]
    net = _fit(net, task, settings, device)
    return NetClassifier(net, (height, width), device, settings.bayesian, settings.mc_samples)


def _fit(net: Any, task: Task, settings: FixmatchSettings, device: torch.device) -> Any:
    """Train `net`; the averaged copy, in evaluation mode."""
    steps = settings.steps or (600 if scratch.is_small(task.images) else 20_000)
    optimizer, schedule = _sgd(net, settings, steps)
    averaged = scratch.averaged(net, settings.ema_decay, steps)
    every = scratch.report_every(steps)
    rng = task.stream("data")
    batches = _batches(task, settings, generator(rng), device)
    teacher = Teacher(task, settings, device)
    with seeded(rng, device):
        for step in range(1, steps + 1):
            losses = _step(net, optimizer, next(batches), teacher, settings.unlabeled_weight)
            schedule.step()
            averaged.update_parameters(net)
            if step % every == 0 or step == steps:
                scratch.require_finite(losses.total(settings.unlabeled_weight), step, settings.learning_rate)
                task.report(Progress(_said(losses), step, steps))
    return averaged.module.eval()


def _said(losses: Losses) -> str:
    return f"training (loss {losses.supervised:.2f} + {losses.unsupervised:.2f}, sure of {losses.mask_rate:.0%})"


def _sgd(net: Any, settings: FixmatchSettings, steps: int) -> Recipe:
    """Nesterov momentum 0.9; the rate falls as cos(7 pi k / 16 K), to a fifth."""
    decayed = scratch.groups(net, settings.weight_decay)
    optimizer = torch.optim.SGD(decayed, lr=settings.learning_rate, momentum=0.9, nesterov=True)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: math.cos(7 * math.pi * k / (16 * steps)))


def _batches(task: Task, settings: FixmatchSettings, draws: torch.Generator, device: torch.device) -> Iterator[Batch]:
    """Endless batches. All images count as unlabeled, the labeled ones too."""
    ids, labels = labeled_ids(task)
    labeled = torch.from_numpy(task.images.take(ids)).to(device)
    classes = torch.from_numpy(labels).to(device)
    flip, size = task.images.flip, settings.batch_size
    every = scratch.shuffled(len(task.images), settings.mu * size, draws)
    for rows, others in zip(scratch.shuffled(len(ids), size, draws), every, strict=False):
        chosen = rows.to(device)
        unlabeled = torch.from_numpy(task.images.take(task.images.ids[others.numpy()])).to(device)
        views = (
            weak(labeled[chosen], draws, flip=flip), weak(unlabeled, draws, flip=flip),
            strong(unlabeled, draws, flip=flip),
        )  # fmt: skip
        yield Batch(as_input(torch.cat(views)), classes[chosen])


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


def losses_of(logits: Tensor, classes: Tensor, teacher: Teacher) -> Losses:
    """The losses of FixMatch from the logits of one joint forward: (B + 2 mu B, C), (B,)."""
    size = len(classes)
    weakly, strongly = logits[size:].chunk(2)
    pseudo, counts = teacher.judge(weakly)
    each = cross_entropy(strongly, pseudo, reduction="none") * counts
    return Losses(cross_entropy(logits[:size], classes), each.mean(), counts.float().mean())


def _step(net: Any, optimizer: torch.optim.Optimizer, batch: Batch, teacher: Teacher, weight: float) -> Losses:
    """One step down; the losses before it. One forward for all views: they share their batch statistics."""
    losses = losses_of(net(batch.x), batch.classes, teacher)
    optimizer.zero_grad()
    torch.autograd.backward(losses.total(weight))
    optimizer.step()
    return Losses(*(value.detach() for value in losses))
