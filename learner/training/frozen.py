"""frozen: a head on the embeddings of a pretrained net. The net is looked through once for each image, ever."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from learner import checkpoint
from learner.config import FrozenSettings
from learner.data import ImageSet
from learner.device import generator, seeded
from learner.errors import NoDropout
from learner.events import Progress
from learner.features import Extractor, FloatArray, embed, extract, extractor, named, parse, seen_size
from learner.models.head import Embedded
from learner.predict import HeadSampler, Predictions, Report, predict_embedding
from learner.training import Task, labeled_ids, require_two_classes
from learner.training.net import NO_HEAD_DROPOUT
from learner.training.scratch import Shuffled, require_finite

CPU = torch.device("cpu")  # a head of this size gains nothing from a graphics card
REPORTS = 10  # in a training


def train(task: Task, settings: FrozenSettings) -> "FrozenClassifier":
    """A head with dropout on embeddings. Raises TooFewLabels, NoDropout, NotFinite, UnknownName, WeightsError."""
    require_two_classes(task)
    if "mc" in task.needs and not settings.dropout:
        raise NoDropout(NO_HEAD_DROPOUT)
    text = named(settings.features, task.images)
    features = parse(text, components=settings.components, weights=settings.weights)
    fitted = extractor(task.images, features, task.report)
    embedding = embed(task.images, features, task.report)
    with seeded(task.stream("init"), CPU):
        net: Embedded = fitted.net(task.num_classes, settings.hidden, settings.dropout)
    net.fit_scale(torch.from_numpy(embedding))
    _fit(net, task, settings, embedding)
    return FrozenClassifier(net.eval(), fitted, task.images, embedding, settings.mc_samples)


def _fit(net: Embedded, task: Task, settings: FrozenSettings, embedding: FloatArray) -> None:
    """Minimise the mean cross-entropy plus weight_decay / 2 times the squared weights."""
    ids, labels = labeled_ids(task)
    x, classes = torch.from_numpy(embedding[task.images.positions(ids)]), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(_groups(net, settings.weight_decay), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    rng = task.stream("data")
    rows = Shuffled(len(ids), min(len(ids), settings.batch_size), generator(rng))
    with seeded(rng, CPU):
        for step in range(settings.steps):
            chosen = next(rows)
            loss = cross_entropy(net.head(net.from_embedding(x[chosen])), classes[chosen])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            if (step + 1) % max(1, settings.steps // REPORTS) == 0:
                require_finite(loss.detach(), step + 1, settings.learning_rate)
                task.report(Progress(f"training (loss {loss.item():.2f})", step + 1, settings.steps))


def _groups(net: Embedded, decay: float) -> list[dict[str, object]]:
    """The decay is on weights, not on biases."""
    learns = net.head_parameters()
    return [
        {"params": [p for p in learns if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in learns if p.ndim <= 1]},
    ]


@dataclass(frozen=True, eq=False)
class FrozenClassifier:
    """A head and the extractor before it."""

    net: Embedded
    extractor: Extractor
    images: ImageSet  # that it was trained among
    embedding: FloatArray  # (N, D) of them
    samples: int  # T

    def predict(
        self, images: ImageSet, needs: frozenset[str], masks: np.random.Generator, report: Report
    ) -> Predictions:
        """Every image of the set. NoDropout when "mc" is needed and dropout is 0."""
        embedding = self.embedding if images is self.images else extract(self.extractor, images, report)
        if "mc" in needs and not self.net.head.dropout.p:
            raise NoDropout(NO_HEAD_DROPOUT)
        sampler = HeadSampler(self.net.head, self.samples, masks) if "mc" in needs else None
        report(Progress("scoring", 0, len(images)))
        said = predict_embedding(self.net, embedding, needs, sampler)
        report(Progress("scoring", len(images), len(images)))
        return Predictions(images.ids, **said)

    def save(self, folder: Path, classes: list[str]) -> None:
        checkpoint.save_net(folder, self.net, classes, seen_size(self.extractor, self.images))
