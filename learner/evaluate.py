"""How right a model is on images whose classes are known."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from learner.data import IntArray
from learner.errors import LearnerError, NotFinite
from learner.intervals import wilson


@dataclass(frozen=True)
class Evaluation:
    """Accuracy with its Wilson interval of 95 %, and recall per class. All in [0, 1]."""

    accuracy: float
    low: float
    high: float
    balanced_accuracy: float  # mean recall of the classes that occur
    macro_f1: float  # mean F1 of the classes that occur or are predicted
    size: int
    source: str  # "test" or "audit"
    per_class: tuple[float | None, ...]  # recall; None: no image of that class
    right: bytes = b""  # one for each image, 1 where the likeliest class is the true one


def evaluate(probs: Tensor, classes: IntArray, source: str) -> Evaluation:
    """Probabilities (N, C) against class indices (N,). LearnerError without images, NotFinite for a NaN."""
    if not len(classes):
        raise LearnerError(f"there are no images in the {source} set to evaluate on")
    if not probs.isfinite().all():
        raise NotFinite(f"predictions for the {source} set are not finite; lower the learning rate")
    predicted = probs.argmax(dim=1).cpu().numpy()
    right = predicted == classes  # (N,)
    recalls = _recalls(right, classes, probs.shape[1])
    seen = [recall for recall in recalls if recall is not None]
    low, high = wilson(int(right.sum()), len(right))
    f1 = _macro_f1(predicted, classes, probs.shape[1])
    return Evaluation(
        float(right.mean()), low, high, float(np.mean(seen)), f1, len(right), source, recalls, right.tobytes()
    )


def _recalls(right: np.ndarray, classes: IntArray, num_classes: int) -> tuple[float | None, ...]:
    totals = np.bincount(classes, minlength=num_classes).tolist()
    hits = np.bincount(classes[right], minlength=num_classes).tolist()
    return tuple(hit / total if total else None for hit, total in zip(hits, totals, strict=True))


def _macro_f1(predicted: IntArray, classes: IntArray, num_classes: int) -> float:
    """Mean over classes of twice the hits by the images that are, plus those that are said to be, of the class."""
    hits = np.bincount(classes[predicted == classes], minlength=num_classes)
    totals = np.bincount(classes, minlength=num_classes) + np.bincount(predicted, minlength=num_classes)
    return float((2 * hits[totals > 0] / totals[totals > 0]).mean())
