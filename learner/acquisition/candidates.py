"""What a strategy is given and what it gives back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
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
    votes: Tensor | None = None  # (N, C), shares of the stochastic predictions
    std: Tensor | None = None  # (N, C), of the stochastic probabilities
    embedding: Tensor | None = None  # (N, D), frozen
    penultimate: Tensor | None = None  # (N, H), of the current model
    classes: IntArray = field(default_factory=lambda: np.empty(0, np.int64))  # (N,), labeled side only; -1: not known

    def only(self, chosen: NDArray[np.bool_]) -> "Side":
        """The images where `chosen` (N,) is true."""
        picked = {name: None if values is None else values[_on(values, chosen)] for name, values in self._tensors()}
        classes = self.classes[chosen] if len(self.classes) else self.classes
        return Side(self.ids[chosen], **picked, classes=classes)

    def with_asked(self, asked: "Side") -> "Side":
        """These and images behind them whose classes are not known yet."""
        more = dict(asked._tensors())
        joined = {
            name: None if values is None or (other := more[name]) is None else torch.cat([values, other])
            for name, values in self._tensors()
        }
        unknown = np.full(len(asked.ids), -1, np.int64)
        return Side(np.concatenate([self.ids, asked.ids]), **joined, classes=np.concatenate([self.classes, unknown]))

    def _tensors(self) -> Iterator[tuple[str, Tensor | None]]:
        for item in fields(self):
            if item.name not in ("ids", "classes"):
                yield item.name, getattr(self, item.name)

    def need(self, name: str) -> Tensor:
        """The quantity called `name`; LearnerError where it was not computed."""
        value: Tensor | None = getattr(self, name)
        if value is None:
            raise LearnerError(f"the strategy uses {name!r} but its row in STRATEGIES does not need it; add it there")
        return value

    def finite(self, name: str) -> Tensor:
        """The same as float32 on the CPU; NotFinite names the first image of which it is not a number."""
        value = self.need(name).to("cpu", torch.float32)
        bad = ~value.isfinite().flatten(1).all(dim=1) if len(value) else value.new_zeros(0, dtype=torch.bool)
        if bad.any():
            first = int(self.ids[bad.numpy()][0])
            raise NotFinite(
                f"{name!r} of {int(bad.sum())} of {len(bad)} images is not finite, the first of image {first}; "
                "compute the features again, or lower the model's learning rate"
            )
        return value


def _on(values: Tensor, chosen: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(chosen).to(values.device)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The pool, what is labeled already, and the stage: labels per class so far."""

    pool: Side
    labeled: Side
    num_classes: int
    head: tuple[Tensor, Tensor] | None = None  # (C, H), (C,): penultimate to logits
    sample: Callable[[IntArray], Tensor] | None = None  # ids (n,) -> (n, T, C) stochastic probabilities, T shared masks
    method: str = ""  # that made the predictions, or will make them
    truth: Callable[[IntArray], IntArray] | None = None  # ids (n,) -> (n,) classes; in simulations

    @property
    def stage(self) -> IntArray:
        """(C,) labels per class so far."""
        known = self.labeled.classes[self.labeled.classes >= 0]
        return np.bincount(known, minlength=self.num_classes).astype(np.int64)

    def true_classes(self, ids: IntArray) -> IntArray:
        """(n,) what the images are. LearnerError where it was not asked for."""
        if self.truth is None:
            raise LearnerError("the strategy uses the truth but its row in STRATEGIES does not need it; add it there")
        return self.truth(ids)

    def without(self, ids: IntArray) -> "Candidates":
        """The same with these images taken out of the pool."""
        return replace(self, pool=self.pool.only(~np.isin(self.pool.ids, ids)))

    def asked(self, ids: IntArray) -> "Candidates":
        """The same as if these images of the pool had been asked: they cover what they cover, their classes unknown."""
        chosen = np.isin(self.pool.ids, ids)
        labeled = self.labeled.with_asked(self.pool.only(chosen))
        return replace(self, pool=self.pool.only(~chosen), labeled=labeled)


@dataclass(frozen=True, eq=False)
class Picks:
    """The chosen images in asking order. Scores: higher = ask first. Probabilities where they are defined."""

    ids: IntArray  # (B,)
    scores: NDArray[np.float64] | None = None  # (B,)
    probabilities: NDArray[np.float64] | None = None  # (B,), of being selected
    note: str = ""  # what a person wants to know of how they were found


Select = Callable[[Candidates, int, np.random.Generator, Any], Picks]


def by_score(score: Callable[[Candidates], Tensor]) -> Select:
    """A strategy out of a score: the `size` highest, ties in an order drawn from the seed."""

    def select(candidates: Candidates, size: int, rng: np.random.Generator, settings: Any) -> Picks:
        scores = finite_scores(candidates, score(candidates))
        order = np.lexsort((rng.permutation(len(scores)), -scores))[:size]
        return Picks(candidates.pool.ids[order], scores[order])

    return select


def finite_scores(candidates: Candidates, scores: Tensor) -> NDArray[np.float64]:
    """(N,) of the pool; NotFinite names the first image whose score is not a number."""
    found: NDArray[np.float64] = scores.to("cpu", torch.float64).numpy()
    bad = ~np.isfinite(found)
    if bad.any():
        first = int(candidates.pool.ids[bad][0])
        raise NotFinite(
            f"{int(bad.sum())} of {len(found)} scores are not finite, the first for image {first}; "
            "the model's predictions are broken: lower its learning rate"
        )
    return found
