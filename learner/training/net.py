"""What methods that train a net return."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from learner import checkpoint
from learner.data import ImageSet
from learner.device import seeded
from learner.errors import BadSetting, NoDropout
from learner.models.head import Net
from learner.predict import HeadSampler, Predictions, Report, Sampler, predict_net

NO_HEAD_DROPOUT = "stochastic predictions need dropout before the head; set dropout above 0, for example 0.3"


def require_stochastic(bayesian: str, dropout: float, block_dropout: float) -> None:
    """NoDropout where a net would predict the same T times: its BALD is zero, and ties would be random."""
    if bayesian not in ("head", "net"):
        raise BadSetting(f"setting 'bayesian' is {bayesian!r}; choose from head, net")
    if bayesian == "head" and dropout == 0:
        raise NoDropout(NO_HEAD_DROPOUT)
    if bayesian == "net" and block_dropout == 0:
        raise NoDropout("bayesian = net needs dropout inside the blocks; set block_dropout above 0, or bayesian = head")


@dataclass(frozen=True, eq=False)
class NetClassifier:
    """A trained net in evaluation mode."""

    net: Net
    image_size: tuple[int, int]  # (H, W) it was trained on
    device: torch.device
    bayesian: str = "head"  # or "net": what is stochastic
    samples: int = 20  # T
    side: int | None = None  # of the images that it wants to see, where it is not theirs

    def predict(
        self, images: ImageSet, needs: frozenset[str], masks: np.random.Generator, report: Report
    ) -> Predictions:
        """Every image of the set. NoDropout when "mc" is needed and nothing in the net is stochastic."""
        if "samples" in needs and self.bayesian == "net":
            raise BadSetting("batch_bald needs the same dropout for every image; set bayesian = head")
        sampler = self._sampler(masks) if "mc" in needs else None
        with seeded(masks, self.device):
            return predict_net(self.net, images, needs, sampler, report, self.device, self.side)

    def _sampler(self, masks: np.random.Generator) -> Sampler:
        arguments = self.net.arguments
        require_stochastic(self.bayesian, arguments["dropout"], arguments["block_dropout"])
        if self.bayesian == "head":
            return HeadSampler(self.net.head, self.samples, masks)
        return net_sampler(self.net, self.samples)

    def save(self, folder: Path, classes: list[str]) -> None:
        checkpoint.save_net(folder, self.net, classes, self.image_size)


def net_sampler(net: Any, samples: int) -> Sampler:
    """T full passes through a copy of the net whose every dropout is active; draws from torch's generator."""
    patched = _patched(net)

    def sample(x: Tensor, features: Tensor) -> Iterator[Tensor]:
        for _ in range(samples):
            yield patched(x)

    return sample


def _patched(net: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        # baal imports a module of structlog that announces its own end
        warnings.filterwarnings("ignore", "`structlog.threadlocal`", DeprecationWarning)
        from baal.bayesian.dropout import patch_module
    patched: nn.Module = patch_module(net, inplace=False)
    return patched
