"""WideResNet, pre-activation: three stages of blocks, each half the size and twice the width."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from learner.errors import BadSetting
from learner.models.head import DropoutHead

SLOPE = 0.1  # of the leaky ReLU


def _norm(channels: int) -> nn.BatchNorm2d:
    # The literature's momentum of 0.001 suits a million steps: after 300, three quarters of the statistics
    # would still be the initial ones. 0.1 follows the last ten batches; the averaged net smooths them.
    return nn.BatchNorm2d(channels, momentum=0.1)


def _conv(inner: int, outer: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inner, outer, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, SLOPE, mode="fan_out", nonlinearity="leaky_relu")
    return conv


class Block(nn.Module):
    """Twice norm, activation, 3 x 3; added to the input, or to its 1 x 1 where the shape changes."""

    def __init__(self, inner: int, outer: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(inner), _conv(inner, outer, 3, stride)
        self.norm2, self.conv2 = _norm(outer), _conv(outer, outer, 3)
        self.dropout = nn.Dropout(dropout)
        self.shortcut = _conv(inner, outer, 1, stride) if inner != outer or stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        active = leaky_relu(self.norm1(x), SLOPE)
        inside = self.dropout(leaky_relu(self.norm2(self.conv1(active)), SLOPE))
        around: Tensor = x if self.shortcut is None else self.shortcut(active)
        return torch.add(around, self.conv2(inside))


class WideResNet(nn.Module):
    """WRN-depth-width: (N, 3, H, W) in [0, 1], any H and W from 8 -> logits (N, C).

    `mean` and `std` are buffers to set to those of the images. BadSetting unless depth is 6n + 4.
    """

    kind = "wrn"
    mean: Tensor  # (1, 3, 1, 1)
    std: Tensor  # (1, 3, 1, 1)

    def __init__(
        self,
        num_classes: int,
        depth: int = 28,
        width: int = 2,
        dropout: float = 0.3,
        block_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if depth < 10 or depth % 6 != 4:
            raise BadSetting(f"depth is {depth}; a WideResNet has 6n + 4 layers: 10, 16, 22, 28, 34, 40")
        self.arguments = {
            "num_classes": num_classes, "depth": depth, "width": width,
            "dropout": dropout, "block_dropout": block_dropout,
        }  # fmt: skip
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        self.register_buffer("std", torch.full((1, 3, 1, 1), 0.5))
        widths = [16, 16 * width, 32 * width, 64 * width]
        blocks: list[nn.Module] = []
        for stage, (inner, outer) in enumerate(pairwise(widths)):
            for index in range((depth - 4) // 6):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(Block(outer if index else inner, outer, stride, block_dropout))
        self.stem, self.blocks, self.norm = _conv(3, 16, 3), nn.Sequential(*blocks), _norm(widths[-1])
        self.head = DropoutHead(widths[-1], num_classes, dropout)
        nn.init.xavier_normal_(self.head.linear.weight)
        nn.init.zeros_(self.head.linear.bias)

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 64 * width), averaged over the last map."""
        last = self.blocks(self.stem((x - self.mean) / self.std))
        return torch.mean(leaky_relu(self.norm(last), SLOPE), dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits
