"""transfer: a pretrained net, fine-tuned on the labeled images: the head at the full rate, the rest at a lower one."""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from learner.augment import weak
from learner.config import TransferSettings
from learner.device import generator, pick_device, seeded
from learner.events import Progress
from learner.features import DEFAULT
from learner.models import weights
from learner.models.backbone import Backbone
from learner.models.head import as_input
from learner.training import Task, basic, labeled_ids, require_two_classes, scratch
from learner.training.fit import Said, Training
from learner.training.net import NetClassifier, require_stochastic
from learner.training.scratch import Recipe


def train(task: Task, settings: TransferSettings) -> NetClassifier:
    """A net whose averaged weights predict. Raises TooFewLabels, BadSetting, NoDropout, NotFinite, WeightsError."""
    require_two_classes(task)
    if "mc" in task.needs:
        require_stochastic("head", settings.dropout, 0.0)
    device = pick_device()
    net = _build(task, settings).to(device)
    net = net.to(memory_format=torch.channels_last)
    return _fit(net, task, settings, device)


def _classifier(settings: TransferSettings, device: torch.device, net: Backbone) -> NetClassifier:
    return NetClassifier(net, (net.size, net.size), device, "head", settings.mc_samples, side=net.size)


def _build(task: Task, settings: TransferSettings) -> Backbone:
    """The pretrained net with a fresh head."""
    name = settings.backbone or weights.at_hand() or DEFAULT
    with seeded(task.stream("init"), torch.device("cpu")):
        net = Backbone(task.num_classes, name, settings.size, unit=False, dropout=settings.dropout)
    task.report(Progress(f"loading the weights of {name}", 0, 0))
    weights.load(net.net, name, settings.weights)
    return net


def _fit(net: Any, task: Task, settings: TransferSettings, device: torch.device) -> NetClassifier:
    """Train `net`; the averaged copy predicts."""
    finish = partial(_classifier, settings, device)
    ids, labels = labeled_ids(task)
    images = torch.from_numpy(task.images.sized(ids, net.size)[0]).to(device)  # (n, H, W, 3) uint8
    classes = torch.from_numpy(labels).to(device)
    _fit_scale(net, images)
    steps = scratch.length(settings.steps, settings.epochs, len(ids), settings.batch_size)
    optimizer, schedule = _descent(net, settings, steps)
    averaged = scratch.averaged(net, settings.ema_decay, steps)
    rng = task.stream("data")
    draws = generator(rng)
    rows = scratch.Shuffled(len(ids), settings.batch_size, draws)
    training = Training(
        task, settings, net, optimizer, schedule, averaged, draws, device, steps, settings.batch_size,
        finish, {"rows": rows},
    )  # fmt: skip

    def step() -> Said:
        chosen = next(rows).to(device)
        x = as_input(weak(images[chosen], draws, flip=task.images.flip))
        return Said(basic.descend(net, optimizer, x, classes[chosen], settings.label_smoothing))

    with seeded(rng, device):
        return finish(training.run(step))


def _fit_scale(net: Backbone, images: Tensor) -> None:
    """The head begins on numbers of the size of one, whatever the net makes of the first images."""
    with torch.inference_mode():
        first = net.eval().embed(as_input(images[:64]))
    net.train().fit_scale(first)


def _descent(net: Backbone, settings: TransferSettings, steps: int) -> Recipe:
    """AdamW, or Adam; the rate rises for the first steps, then falls as a cosine."""
    rates = ((net.net, settings.learning_rate * settings.backbone_rate), (net.head, settings.learning_rate))
    groups = [{**group, "lr": rate} for part, rate in rates for group in scratch.groups(part, settings.weight_decay)]
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    optimizer = kind(groups, lr=settings.learning_rate)
    warm = max(1, round(settings.warmup * steps))

    def share(done: int) -> float:
        fallen = (done - warm) / (steps - warm + 1)
        return (done + 1) / warm if done < warm else (1 + math.cos(math.pi * fallen)) / 2

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)
