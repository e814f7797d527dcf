"""A small convolutional encoder, trained on the images of a project themselves."""

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from learner.models.head import Embedded

LAST = 4  # side of the last map


class ConvEncoder(Embedded):
    """(N, 3, H, W) in [0, 1], brought to `side` px -> embedding (N, dimensions) -> logits (N, C).

    `side` is 4 times a power of two: each halving doubles the channels.
    """

    kind = "encoder"

    def __init__(
        self, num_classes: int, side: int = 32, width: int = 16, dimensions: int = 64, hidden: int = 0,
        dropout: float = 0.3,
    ) -> None:  # fmt: skip
        super().__init__(num_classes, dimensions, hidden, dropout)
        self.arguments = {
            "num_classes": num_classes, "side": side, "width": width, "dimensions": dimensions,
            "hidden": hidden, "dropout": dropout,
        }  # fmt: skip
        self.side = side
        steps = int(math.log2(side / LAST))
        channels = [3, *(width * 2**step for step in range(steps + 1))]
        layers: list[nn.Module] = [_layer(channels[0], channels[1], 1)]
        layers += [_layer(inner, outer, 2) for inner, outer in pairwise(channels[1:])]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Linear(channels[-1] * LAST**2, dimensions)

    def embed(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(self.layers(adaptive_avg_pool2d(x, (self.side, self.side))).flatten(1))
        return found


def _layer(inner: int, outer: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU())


class Decoder(nn.Module):
    """An embedding back to pixels: (N, dimensions) -> (N, 3, side, side), the encoder's layers in reverse."""

    def __init__(self, side: int, width: int, dimensions: int) -> None:
        super().__init__()
        steps = int(math.log2(side / LAST))
        channels = [width * 2**step for step in reversed(range(steps + 1))]
        self.first = nn.Linear(dimensions, channels[0] * LAST**2)
        layers: list[nn.Module] = []
        for inner, outer in pairwise(channels):
            layers += [nn.Upsample(scale_factor=2), _layer(inner, outer, 1)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], 3, 3, padding=1))
        self.shape = (channels[0], LAST, LAST)

    def forward(self, embedding: Tensor) -> Tensor:
        found: Tensor = self.layers(self.first(embedding).view(-1, *self.shape))
        return found
