"""MODELS: architectures. A model maps (N, 3, H, W) in [0, 1] to logits (N, C).

Each has `features(x) -> (N, H)`, a `head` with dropout before its linear layer, and the `arguments` that
its row takes to build it again. It normalises inside, so that saved weights need nothing else.
"""

from learner.registry import Row
from learner.settings import NoSettings

MODELS: dict[str, Row] = {
    "wrn": Row(
        "WideResNet of any depth 6n + 4 and width, from 8 px", NoSettings,
        "learner.models.wrn:WideResNet", paper="Zagoruyko & Komodakis 2016",
    ),
    "conv": Row(
        "four plain layers for images of a few pixels", NoSettings,
        "learner.models.conv:ConvNet",
    ),
    "wide_resnet50_2": Row(
        "the WideResNet-50-2 of timm with a stem for small images", NoSettings,
        "learner.models.wide_resnet50:WideResNet50", paper="Zagoruyko & Komodakis 2016",
    ),
    "backbone": Row(
        "any net of timm, pretrained or not", NoSettings,
        "learner.models.backbone:Backbone",
    ),
    "encoder": Row(
        "a small convolutional encoder, for what it learned from the images themselves", NoSettings,
        "learner.models.encoder:ConvEncoder",
    ),
    "head": Row(
        "principal components of the pixels and one hidden layer", NoSettings,
        "learner.models.head:PixelHead",
    ),
}  # fmt: skip
