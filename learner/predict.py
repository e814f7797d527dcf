"""One streaming pass over many images: only the quantities that the strategy needs, O(N x C) memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from learner.data import ByteArray, ImageSet, IntArray
from learner.events import Event, Progress
from learner.features import FloatArray
from learner.models.head import DropoutHead, Embedded, Net, as_input

BATCH = 64  # the fastest on a CPU; from 128 on, large activations page-fault
CUDA_BATCH = 512
LARGE = 96  # px; batches of larger images are smaller
ROWS = 512  # of an embedding in one batch
AT_ONCE = 8_000_000  # logits of stochastic heads, at most
MOST_LOGITS = 200_000  # summed at once
MOST_ROWS = 2048  # of features that stochastic heads wait for

Report = Callable[[Event], None]
Sampler = Callable[[Tensor, Tensor], Iterable[Tensor]]  # images, features -> T logits (n, C)


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of images; what nobody needed is None. On the CPU, float32."""

    ids: IntArray  # (N,)
    probs: Tensor  # (N, C), deterministic
    mean_probs: Tensor | None = None  # (N, C), over stochastic predictions
    expected_entropy: Tensor | None = None  # (N,), nats, over stochastic predictions
    votes: Tensor | None = None  # (N, C), shares of the stochastic predictions that say each class
    std: Tensor | None = None  # (N, C), of the stochastic probabilities
    samples: Tensor | None = None  # (N, T, C), the stochastic probabilities themselves
    penultimate: Tensor | None = None  # (N, H)
    weight: Tensor | None = None  # (C, H), of the linear layer behind it
    bias: Tensor | None = None  # (C,)


def predict_net(
    net: Net,
    images: ImageSet,
    needs: frozenset[str],
    sampler: Sampler | None,
    report: Report,
    device: torch.device,
    side: int | None = None,
) -> Predictions:
    """Every image of the set by a net in evaluation mode; stochastic quantities where there is a sampler.

    `side`: of the images that the net wants to see, where there are originals.
    """
    batches, stochastic = [], Stochastic(sampler, needs)
    with torch.inference_mode():
        for pixels in _stream(images, CUDA_BATCH if device.type == "cuda" else BATCH, report, side):
            x = as_input(torch.from_numpy(pixels).to(device))
            features = net.features(x)
            quantities = {"probs": net.head(features).softmax(dim=1)}
            stochastic.add(x, features)
            if "penultimate" in needs:
                quantities["penultimate"] = features
            batches.append({name: value.cpu() for name, value in quantities.items()})
        return Predictions(images.ids, **join(batches), **stochastic.finish(), **_linear(net, needs))


def _stream(images: ImageSet, size: int, report: Report, side: int | None) -> Iterator[ByteArray]:
    """Batches of pixels; reports what was done with the one before."""
    size = max(1, min(size, size * LARGE**2 // side**2)) if side else size
    for start in range(0, max(len(images), 1), size):
        report(Progress("scoring", start, len(images)))
        yield images.sized(images.ids[start : start + size], side)[0]
    report(Progress("scoring", len(images), len(images)))


def predict_embedding(
    net: Embedded, embedding: FloatArray, needs: frozenset[str], sampler: Sampler | None
) -> dict[str, Tensor]:
    """(N, D) rows through the head alone: `probs`, and what is needed of the rest."""
    batches, stochastic = [], Stochastic(sampler, needs)
    with torch.inference_mode():
        for start in range(0, max(len(embedding), 1), ROWS):
            rows = torch.from_numpy(embedding[start : start + ROWS])
            features = net.from_embedding(rows)
            quantities = {"probs": net.head(features).softmax(dim=1)}
            stochastic.add(rows, features)
            if "penultimate" in needs:
                quantities["penultimate"] = features
            batches.append(quantities)
        return join(batches) | stochastic.finish() | _linear(net, needs)


def _linear(net: Net, needs: frozenset[str]) -> dict[str, Tensor]:
    """The last layer, where a strategy needs it."""
    linear = net.head.linear
    return {"weight": linear.weight.detach().cpu(), "bias": linear.bias.detach().cpu()} if "head" in needs else {}


class Stochastic:
    """Streams the moments of stochastic predictions; of a head, over many batches of features at once.

    T samples of a batch of 64 are hundreds of tiny operations, and took half as long as the net itself.
    """

    def __init__(self, sampler: "Sampler | None", needs: frozenset[str]) -> None:
        self._sampler, self._needs = sampler, needs
        self._waiting: list[Tensor] = []
        self._found: list[dict[str, Tensor]] = []

    def add(self, x: Tensor, features: Tensor) -> None:
        """The next batch, images and features."""
        if isinstance(self._sampler, HeadSampler):
            self._waiting.append(features)
            if sum(map(len, self._waiting)) >= self._sampler.rows:
                self._flush(self._sampler)
        elif self._sampler:
            self._sample(self._sampler, x, features)

    def finish(self) -> dict[str, Tensor]:
        """The quantities of `moments` of everything; nothing without a sampler."""
        if isinstance(self._sampler, HeadSampler) and self._waiting:
            self._flush(self._sampler)
        return join(self._found) if self._found else {}

    def _flush(self, sampler: "HeadSampler") -> None:
        features, self._waiting = torch.cat(self._waiting), []
        for part in torch.split(features, sampler.rows):
            self._sample(sampler, part, part)

    def _sample(self, sampler: "Sampler", x: Tensor, features: Tensor) -> None:
        found = moments(sampler(x, features), self._needs)
        self._found.append({name: values.cpu() for name, values in found.items()})


def join(batches: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Quantities of batches -> quantities of all rows."""
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def moments(samples: Iterable[Tensor], needs: frozenset[str] = frozenset()) -> dict[str, Tensor]:
    """T logits (n, C) -> `mean_probs` (n, C) and `expected_entropy` (n,) in nats.

    And what else is needed of `votes` (n, C), `std` (n, C) and `samples` (n, T, C). Summed over T in float64: BALD is a
    small difference of large numbers.
    """
    sums: dict[str, Tensor] = {}
    kept, count = [], 0
    for logits in _together(samples):  # (t, n, C)
        log_probs = logits.float().log_softmax(dim=2)
        probs = log_probs.exp()
        terms = {"mean_probs": probs, "expected_entropy": -(probs * log_probs).sum(dim=2)}
        if "votes" in needs:
            terms["votes"] = one_hot(logits.argmax(dim=2), logits.shape[2])
        if "std" in needs:
            terms["std"] = probs.double().square()
        if "samples" in needs:
            kept.append(probs)
        found = {name: value.sum(dim=0, dtype=torch.float64) for name, value in terms.items()}
        sums = {name: sums[name] + value for name, value in found.items()} if sums else found
        count += len(logits)
    found = {name: value / count for name, value in sums.items()}
    if "std" in needs:
        found["std"] = (found["std"] - found["mean_probs"].square()).clamp(min=0).sqrt()
    whole = {"samples": torch.cat(kept).transpose(0, 1).contiguous()} if kept else {}
    return {name: value.float() for name, value in found.items()} | whole


def _together(samples: Iterable[Tensor]) -> Iterator[Tensor]:
    """(t, n, C), as many at once as stay in the caches; samples that come one by one stay so."""
    if not isinstance(samples, Tensor):
        yield from (logits[None] for logits in samples)
        return
    number = max(1, MOST_LOGITS // max(1, samples[0].numel()))
    for start in range(0, len(samples), number):
        yield samples[start : start + number]


class HeadSampler:
    """Features once, T stochastic heads: the masks are drawn here, so that every image meets the same."""

    def __init__(self, head: DropoutHead, samples: int, rng: np.random.Generator) -> None:
        self._head, self._masks = head, head.masks(samples, rng)  # (T, H)
        self.rows = max(1, min(MOST_ROWS, AT_ONCE // (samples * head.linear.out_features)))  # at once

    def __call__(self, x: Tensor, features: Tensor) -> Tensor:
        """(n, H) features -> (T, n, C) logits; the images themselves are not looked at."""
        return self._head.samples(features, self._masks)
