"""A plain convolutional net for tiny images, where the halvings of a residual net leave nothing to look at."""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from learner.models.head import DropoutHead


def _layer(inner: int, outer: int, dropout: float) -> nn.Sequential:
    conv = nn.Conv2d(inner, outer, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outer), nn.ReLU(), nn.Dropout(dropout))


class ConvNet(nn.Module):
    """Four layers of 3 x 3: (N, 3, H, W) in [0, 1], any H and W from 4 -> logits (N, C).

    The last map is pooled to 2 x 2 and not to one: where a stroke lies is half of what a digit is.
    `mean` and `std` are buffers to set to those of the images.
    """

    kind = "conv"
    mean: Tensor  # (1, 3, 1, 1)
    std: Tensor  # (1, 3, 1, 1)

    def __init__(self, num_classes: int, width: int = 2, dropout: float = 0.3, block_dropout: float = 0.0) -> None:
        super().__init__()
        self.arguments = {
            "num_classes": num_classes, "width": width, "dropout": dropout, "block_dropout": block_dropout,
        }  # fmt: skip
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        self.register_buffer("std", torch.full((1, 3, 1, 1), 0.5))
        base = 16 * width
        self.fine = nn.Sequential(_layer(3, base, block_dropout), _layer(base, 2 * base, block_dropout))
        self.coarse = nn.Sequential(
            _layer(2 * base, 2 * base, block_dropout), _layer(2 * base, 4 * base, block_dropout)
        )
        self.pool = nn.AdaptiveMaxPool2d(2)
        self.head = DropoutHead(16 * base, num_classes, dropout)

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 256 * width)."""
        fine = max_pool2d(self.fine((x - self.mean) / self.std), 2)
        last: Tensor = self.pool(self.coarse(fine))
        return last.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits
