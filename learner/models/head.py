"""Heads with dropout: what every net ends in, and the small net that a graph is distilled into."""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, relu


class Net(Protocol):
    """What prediction and saving need of a model."""

    kind: str  # its name in MODELS
    arguments: dict[str, Any]  # that build it again, JSON-friendly
    head: "DropoutHead"

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, H)."""

    def state_dict(self) -> dict[str, Any]: ...


def as_input(pixels: Tensor) -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) in [0, 1], channels last in memory."""
    return torch.div(pixels, 255).permute(0, 3, 1, 2)


class DropoutHead(nn.Module):
    """Dropout, then a linear layer: (N, H) -> logits (N, C)."""

    def __init__(self, width: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.dropout(features))
        return logits

    def masks(self, samples: int, rng: np.random.Generator) -> Tensor:
        """(T, H): as dropout would draw them, zero or 1 / (1 - p)."""
        kept = rng.random((samples, self.linear.in_features)) >= self.dropout.p
        return torch.from_numpy(kept / (1 - self.dropout.p)).to(self.linear.weight)

    def samples(self, features: Tensor, masks: Tensor) -> Tensor:
        """Logits under each mask, all rows sharing it, as one matrix product: (N, H), (T, H) -> (T, N, C)."""
        masked = masks[:, None, :] * self.linear.weight  # (T, C, H)
        logits = (features @ masked.flatten(0, 1).T).view(
            len(features), len(masks), self.linear.out_features
        )  # (N, T, C)
        return torch.add(logits.transpose(0, 1), self.linear.bias)


class Embedded(nn.Module):
    """A net that embeds its images and ends in a small head: embedding (N, D) -> maybe a hidden layer -> logits (N, C).

    `center` and `scale` are buffers to set to those of the embedding; one scale for all of its directions, because the
    small ones are mostly noise and must stay small.
    """

    kind: str  # its name in MODELS
    arguments: dict[str, Any]  # that build it again
    center: Tensor  # (D,)
    scale: Tensor  # ()

    def __init__(self, num_classes: int, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))
        self.hidden = nn.Linear(width, hidden) if hidden else None
        self.head = DropoutHead(hidden or width, num_classes, dropout)

    def embed(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, D)."""
        raise NotImplementedError

    def head_parameters(self) -> list[nn.Parameter]:
        """What learns while the embedding stays as it is."""
        return [*(self.hidden.parameters() if self.hidden else ()), *self.head.parameters()]

    def fit_scale(self, embedding: Tensor) -> None:
        """Set `center` and `scale` to those of (N, D)."""
        self.center.copy_(embedding.mean(dim=0))
        self.scale.copy_(embedding.var(dim=0, correction=0).mean().sqrt().clamp(min=1e-3))

    def from_embedding(self, embedding: Tensor) -> Tensor:
        """(N, D) -> features (N, H)."""
        scaled = (embedding - self.center) / self.scale
        return scaled if self.hidden is None else relu(self.hidden(scaled))

    def features(self, x: Tensor) -> Tensor:
        return self.from_embedding(self.embed(x))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def low_resolution(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Area averages: (N, 3, H, W) -> (N, 3 * h * w)."""
    return adaptive_avg_pool2d(x, size).flatten(1)


class PixelHead(Embedded):
    """Pixels at low resolution -> principal components -> a hidden layer -> a head with dropout."""

    kind = "head"

    def __init__(
        self, num_classes: int, low: tuple[int, int], components: int, hidden: int = 128, dropout: float = 0.3
    ) -> None:
        super().__init__(num_classes, components, hidden, dropout)
        self.arguments = {
            "num_classes": num_classes, "low": list(low), "components": components,
            "hidden": hidden, "dropout": dropout,
        }  # fmt: skip
        pixels = 3 * low[0] * low[1]
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("components", torch.zeros(components, pixels))
        self.low = low

    mean: Tensor  # (3 * h * w,)
    components: Tensor  # (D, 3 * h * w)

    def embed(self, x: Tensor) -> Tensor:
        return (low_resolution(x, self.low) - self.mean) @ self.components.T
