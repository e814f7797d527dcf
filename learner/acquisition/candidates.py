"""What a strategy is given and what it gives back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learner.data import IntArray
from learner.errors import LearnerError, NotFinite


@dataclass(frozen=True, eq=False)
class Side:
    """Images as the model sees them; what the strategy does not need is None."""

    ids: IntArray  # (N,)
    probs: Tensor | None = None  # (N, C)
    mean_probs: Tensor | None = None  # (N, C), over stochastic predictions
    expected_entropy: Tensor | None = None  # (N,), nats, over stochastic predictions
    embedding: Tensor | None = None  # (N, D), frozen
    penultimate: Tensor | None = None  # (N, H), of the current model
    classes: IntArray = field(default_factory=lambda: np.empty(0, np.int64))  # (N,), labeled side only

    def only(self, chosen: NDArray[np.bool_]) -> "Side":
        """The images where `chosen` (N,) is true."""
        picked = {name: None if values is None else values[_on(values, chosen)] for name, values in self._tensors()}
        classes = self.classes[chosen] if len(self.classes) else self.classes
        return Side(self.ids[chosen], **picked, classes=classes)

    def _tensors(self) -> Iterator[tuple[str, Tensor | None]]:
        for name in ("probs", "mean_probs", "expected_entropy", "embedding", "penultimate"):
            yield name, getattr(self, name)

    def need(self, name: str) -> Tensor:
        """The quantity called `name`; LearnerError where it was not computed."""
        value: Tensor | None = getattr(self, name)
        if value is None:
            raise LearnerError(f"the strategy uses {name!r} but its row in STRATEGIES does not need it; add it there")
        return value


def _on(values: Tensor, chosen: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(chosen).to(values.device)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The pool, what is labeled already, and the stage: labels per class so far."""

    pool: Side
    labeled: Side
    num_classes: int

    @property
    def stage(self) -> IntArray:
        """(C,) labels per class so far."""
        return np.bincount(self.labeled.classes, minlength=self.num_classes).astype(np.int64)

    def without(self, ids: IntArray) -> "Candidates":
        """The same with these images taken out of the pool."""
        return replace(self, pool=self.pool.only(~np.isin(self.pool.ids, ids)))


@dataclass(frozen=True, eq=False)
class Picks:
    """The chosen images in asking order. Scores: higher = ask first. Probabilities where they are defined."""

    ids: IntArray  # (B,)
    scores: NDArray[np.float64] | None = None  # (B,)
    probabilities: NDArray[np.float64] | None = None  # (B,), of being selected


Select = Callable[[Candidates, int, np.random.Generator, Any], Picks]


def by_score(score: Callable[[Candidates], Tensor]) -> Select:
    """A strategy out of a score: the `size` highest, ties in an order drawn from the seed."""

    def select(candidates: Candidates, size: int, rng: np.random.Generator, settings: Any) -> Picks:
        scores = score(candidates).to("cpu", torch.float64).numpy()  # (N,)
        bad = ~np.isfinite(scores)
        if bad.any():
            first = int(candidates.pool.ids[bad][0])
            raise NotFinite(
                f"{int(bad.sum())} of {len(scores)} scores are not finite, the first for image {first}; "
                "the model's predictions are broken: lower its learning rate"
            )
        order = np.lexsort((rng.permutation(len(scores)), -scores))[:size]
        return Picks(candidates.pool.ids[order], scores[order])

    return select
