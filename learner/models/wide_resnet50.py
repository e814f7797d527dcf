"""The study's WideResNet-50-2: timm's, with a stem that leaves small images their size."""

from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from learner.errors import BadSetting
from learner.models.head import DropoutHead


class WideResNet50(nn.Module):
    """WRN-50-2 from scratch: (N, 3, H, W) in [0, 1], any H and W from 8 -> logits (N, C).

    The stem is 3 x 3 with stride 1 and does not pool. `mean` and `std` are buffers to set to those of the images.
    BadSetting for dropout inside the blocks: they have none.
    """

    kind = "wide_resnet50_2"
    mean: Tensor  # (1, 3, 1, 1)
    std: Tensor  # (1, 3, 1, 1)

    def __init__(self, num_classes: int, dropout: float = 0.3, block_dropout: float = 0.0) -> None:
        super().__init__()
        if block_dropout:
            raise BadSetting(f"block_dropout is {block_dropout}; {self.kind} has none inside its blocks: set it to 0")
        self.arguments = {"num_classes": num_classes, "dropout": dropout, "block_dropout": block_dropout}
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        self.register_buffer("std", torch.full((1, 3, 1, 1), 0.5))
        self.net = cast(Any, timm.create_model(self.kind, num_classes=0))
        self.net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.net.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.net.maxpool = nn.Identity()
        self.head = DropoutHead(self.net.num_features, num_classes, dropout)

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 2048), averaged over the last map."""
        last: Tensor = self.net((x - self.mean) / self.std)
        return last

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits
