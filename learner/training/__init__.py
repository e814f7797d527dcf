"""METHODS: one way to learn per file. A method is `train(task, settings) -> Classifier`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from learner.config import (
    AutoSettings,
    BasicSettings,
    FixmatchSettings,
    FrozenSettings,
    PropagateSettings,
    SslSettings,
    TransferSettings,
)
from learner.data import Exam, ImageSet, IntArray
from learner.errors import TooFewLabels
from learner.events import Event
from learner.registry import Row
from learner.rng import Purpose, stream

if TYPE_CHECKING:
    from learner.predict import Predictions

METHODS: dict[str, Row] = {
    "auto": Row(
        "what suits the images and the machine: a quick method, then a stronger one when it wins",
        AutoSettings, "learner.training.auto:train",
    ),
    "propagate": Row(
        "label spreading over the neighbours of each image: semi-supervised, well under a second",
        PropagateSettings, "learner.training.propagate:train", paper="Zhou et al. 2003",
    ),
    "basic": Row(
        "a net from scratch on the labeled images alone",
        BasicSettings, "learner.training.basic:train", paper="Zagoruyko & Komodakis 2016",
    ),
    "frozen": Row(
        "a head on the embeddings of a pretrained net, which are computed once",
        FrozenSettings, "learner.training.frozen:train",
    ),
    "transfer": Row(
        "a pretrained net, fine-tuned on the labeled images",
        TransferSettings, "learner.training.transfer:train",
    ),
    "fixmatch": Row(
        "a net from scratch on all images: what it is sure of teaches it the rest; slow",
        FixmatchSettings, "learner.training.fixmatch:train", paper="Sohn et al. 2020",
    ),
    "ssl": Row(
        "fixmatch with a WideResNet-50-2, as in the study of 2021; meant for a graphics card",
        SslSettings, "learner.training.fixmatch:train", paper="Sohn et al. 2020",
    ),
}  # fmt: skip


def _silent(event: Event) -> None:
    pass


def _nothing() -> None:
    return None


def _unranked(classifier: "Classifier") -> None:
    pass


@dataclass(frozen=True, eq=False)
class Task:
    """Everything a method learns from in one round."""

    images: ImageSet  # labeled and unlabeled
    labels: dict[int, int]  # image id -> class index
    num_classes: int
    seed: int = 0
    round: int = 0
    needs: frozenset[str] = frozenset()  # what the strategy will ask of `predict`
    report: Callable[[Event], None] = field(default=_silent, repr=False)  # raises Cancelled to stop
    exam: Exam | None = field(default=None, repr=False)  # to choose between classifiers by, never to train on
    rank: Callable[["Classifier"], None] = field(default=_unranked, repr=False)  # a classifier on the way: see Ranked
    previous: Callable[[], Any] = field(default=_nothing, repr=False)  # the net of the round before, or None
    folder: Path | None = None  # for what outlives a killed round; None: nothing does

    def stream(self, purpose: Purpose) -> np.random.Generator:
        return stream(self.seed, self.round, purpose)


class Classifier(Protocol):
    """What a method returns."""

    def predict(
        self,
        images: ImageSet,
        needs: frozenset[str],
        masks: np.random.Generator,
        report: Callable[[Event], None],
    ) -> "Predictions":
        """Every image of the set. `probs` always; "mc" and "penultimate" when needed.

        Raises NoDropout when "mc" is needed and nothing in the net is stochastic.
        """

    def save(self, folder: Path, classes: list[str]) -> None:
        """Write model.safetensors and model.json into `folder`, readable by `learner.checkpoint.load`."""


def labeled_ids(task: Task) -> tuple[IntArray, IntArray]:
    """Ids with labels in increasing order, and their classes: both (n,)."""
    ids = np.array(sorted(task.labels), dtype=np.int64)
    return ids, np.array([task.labels[i] for i in ids.tolist()], dtype=np.int64)


def require_two_classes(task: Task) -> None:
    """Raises TooFewLabels, with what there is so far."""
    seen = sorted(set(task.labels.values()))
    if len(seen) < 2:
        so_far = f"all {len(task.labels)} are of class {seen[0]}" if seen else "there are none"
        message = f"training needs labels of at least two classes; so far {so_far}. Label a few more."
        raise TooFewLabels(message)
