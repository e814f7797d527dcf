"""Heads with dropout: what every net ends in, and the small net that a graph is distilled into."""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from learner.features.pixels import low_resolution


class Net(Protocol):
    """What prediction and saving need of a model."""

    kind: str  # its name in MODELS
    arguments: dict[str, Any]  # that build it again, JSON-friendly
    head: "DropoutHead"

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, H)."""

    def state_dict(self) -> dict[str, Any]: ...


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
        logits = (features @ masked.flatten(0, 1).T).view(len(features), len(masks), -1)  # (N, T, C)
        return torch.add(logits.transpose(0, 1), self.linear.bias)


class PixelHead(nn.Module):
    """Pixels at low resolution -> principal components -> a hidden layer -> a head with dropout."""

    kind = "head"

    def __init__(
        self, num_classes: int, low: tuple[int, int], components: int, hidden: int = 128, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.arguments = {
            "num_classes": num_classes, "low": list(low), "components": components,
            "hidden": hidden, "dropout": dropout,
        }  # fmt: skip
        pixels = 3 * low[0] * low[1]
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("components", torch.zeros(components, pixels))
        self.register_buffer("center", torch.zeros(components))
        self.register_buffer("scale", torch.ones(()))
        self.hidden = nn.Linear(components, hidden)
        self.head = DropoutHead(hidden, num_classes, dropout)
        self.low = low

    mean: Tensor  # (3 * h * w,)
    components: Tensor  # (D, 3 * h * w)
    center: Tensor  # (D,)
    scale: Tensor  # (), one for all: the small components are mostly noise and stay small

    def from_embedding(self, embedding: Tensor) -> Tensor:
        """(N, D) -> features (N, H)."""
        return relu(self.hidden((embedding - self.center) / self.scale))

    def features(self, x: Tensor) -> Tensor:
        return self.from_embedding((low_resolution(x, self.low) - self.mean) @ self.components.T)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits
