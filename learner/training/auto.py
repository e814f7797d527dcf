"""auto: a quick method at first, a stronger one when it wins. Says which, and why.

The quick one answers from the first labels on. From some labels per class on the stronger one is trained too, and both
sit the audit; where there is none of enough answers, the number of labels decides. The test set of a simulation decides
nothing: it would be a choice made on the test.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from learner.config import AutoSettings
from learner.data import ImageSet
from learner.features import best, named
from learner.predict import Report
from learner.rng import stream
from learner.settings import Choice, resolve
from learner.training import METHODS, Classifier, Task, require_two_classes

if TYPE_CHECKING:
    from learner.predict import Predictions

MIN_AUDIT = 30  # answers; of fewer an accuracy says little
LARGE = 64  # px; up to here a net from scratch learns on a graphics card while people label


@dataclass(frozen=True)
class Plan:
    """Two ways to learn, and why these."""

    quick: Choice
    strong: Choice
    why: str


@dataclass(frozen=True, eq=False)
class Chosen:
    """The classifier that won. `method` is its name, `note` the reason, for people."""

    classifier: Classifier
    method: str
    note: str

    def predict(
        self, images: ImageSet, needs: frozenset[str], masks: np.random.Generator, report: Report
    ) -> "Predictions":
        return self.classifier.predict(images, needs, masks, report)

    def save(self, folder: Path, classes: list[str]) -> None:
        self.classifier.save(folder, classes)


def plan(images: ImageSet, settings: AutoSettings, has_gpu: bool) -> Plan:
    """What suits these images on this machine."""
    text = named(settings.features, images)
    seen = {"features": text, "weights": settings.weights}
    quick = _choice("propagate", seen)
    if has_gpu and images.native_side <= LARGE:
        return Plan(quick, _choice("fixmatch", {}), "small images and a graphics card")
    why = best(images)[1] if settings.features == "auto" else f"features {text}"
    return Plan(quick, _choice("frozen", seen) if text.startswith("timm:") else _choice("basic", {}), why)


def _choice(method: str, values: dict[str, Any]) -> Choice:
    return Choice(method, resolve(METHODS[method].settings, values))


def train(task: Task, settings: AutoSettings) -> Chosen:
    """The better of two classifiers. Raises what its methods raise."""
    require_two_classes(task)
    found = plan(task.images, settings, torch.cuda.is_available())
    quick = _train(found.quick, task)
    enough = settings.labels_per_class * task.num_classes
    if len(task.labels) < enough:
        said = f"{len(task.labels)} labels; from {enough} on {found.strong.name} is tried"
        return Chosen(quick, found.quick.name, f"{said} ({found.why})")
    task.rank(quick)  # people go on with it while the stronger one learns
    strong = _train(found.strong, task)
    return _better(task, found, quick, strong)


def _train(choice: Choice, task: Task) -> Classifier:
    classifier: Classifier = METHODS[choice.name].load()(task, choice.settings)
    return classifier


def _better(task: Task, found: Plan, quick: Classifier, strong: Classifier) -> Chosen:
    """By the audit; without one by the number of labels, which is why the stronger one was trained."""
    exam = task.exam
    if exam is None or exam.source != "audit" or len(exam.images) < MIN_AUDIT:
        return Chosen(strong, found.strong.name, f"{len(task.labels)} labels ({found.why})")
    right = [_right(classifier, task) for classifier in (quick, strong)]
    wins = right[1] >= right[0]
    names = (found.quick.name, found.strong.name)
    winner, loser = (1, 0) if wins else (0, 1)
    note = f"{right[winner]} of {len(exam.images)} audit images right, {names[loser]} {right[loser]} ({found.why})"
    return Chosen((quick, strong)[winner], names[winner], note)


def _right(classifier: Classifier, task: Task) -> int:
    """Audit images that it classifies correctly."""
    assert task.exam is not None
    masks = stream(task.seed, task.round, "masks")
    probs = classifier.predict(task.exam.images, frozenset(), masks, task.report).probs
    return int((probs.argmax(dim=1).cpu().numpy() == task.exam.classes).sum())
