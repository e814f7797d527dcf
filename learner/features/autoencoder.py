"""Embeddings learned from the images themselves: an autoencoder, and one whose embedding is pulled into clusters.

The second is DEC (Xie et al. 2016): the soft assignments of images to centroids are sharpened against themselves.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, kl_div, mse_loss

from learner.config import AutoencoderFeatures, DecFeatures
from learner.data import ByteArray, ImageSet, IntArray
from learner.device import pick_device, seeded
from learner.errors import BadSetting
from learner.events import Progress
from learner.features import FloatArray, Report
from learner.models.encoder import LAST, ConvEncoder, Decoder
from learner.models.head import as_input

MOST = 32  # px
REFRESH = 50  # steps between two looks at the sharpened assignments
SAMPLE = 10_000  # images that the clusters are found in
RATE, RATE_DEC = 2e-3, 2e-4
REPORTS = 20


@dataclass(frozen=True, eq=False)
class EncoderExtractor:
    """A trained encoder in evaluation mode."""

    encoder: ConvEncoder
    device: torch.device
    side: int | None = None
    batch: int = 512
    about: dict[str, Any] = field(default_factory=dict)  # it depends on all images: not worth keeping

    @property
    def width(self) -> int:
        return len(self.encoder.center)

    def __call__(self, pixels: ByteArray) -> FloatArray:
        with torch.inference_mode():
            rows: FloatArray = self.encoder.embed(as_input(torch.from_numpy(pixels).to(self.device))).cpu().numpy()
        return rows

    def net(self, num_classes: int, hidden: int, dropout: float) -> ConvEncoder:
        changed = {"num_classes": num_classes, "hidden": hidden, "dropout": dropout}
        net = ConvEncoder(**(self.encoder.arguments | changed))
        net.layers.load_state_dict(self.encoder.layers.state_dict())
        net.last.load_state_dict(self.encoder.last.state_dict())
        return net


def fit_autoencoder(images: ImageSet, argument: str, settings: AutoencoderFeatures, report: Report) -> EncoderExtractor:
    """Trained to give the pixels back, at up to 32 px a side. The same images, the same encoder."""
    device, rng = pick_device(), np.random.default_rng(0)
    with seeded(rng, torch.device("cpu")):
        encoder = ConvEncoder(1, _side(images), settings.channels, settings.dimensions).to(device)
        decoder = Decoder(encoder.side, settings.channels, settings.dimensions).to(device)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=settings.steps + 1)
    for step in range(settings.steps):
        x = _batch(images, rng.integers(len(images), size=settings.batch_size), device)
        small = adaptive_avg_pool2d(x, (encoder.side, encoder.side))
        _descend(optimizer, mse_loss(decoder(encoder.embed(x)), small))
        schedule.step()
        if step % max(1, settings.steps // REPORTS) == 0:
            report(Progress("training the autoencoder", step, settings.steps))
    return EncoderExtractor(_still(encoder), device)


def fit_dec(images: ImageSet, argument: str, settings: DecFeatures, report: Report) -> EncoderExtractor:
    """An autoencoder, then its encoder sharpened towards so many clusters as the argument says. BadSetting."""
    if not argument.isdecimal() or not 2 <= int(argument) <= len(images):
        raise BadSetting(f"dec:{argument} wants a number of clusters from 2 to {len(images)}; dec:10 for example")
    fitted = fit_autoencoder(images, "", settings, report)
    rng, encoder = np.random.default_rng(1), fitted.encoder.requires_grad_(True)
    sample = np.sort(rng.permutation(len(images))[:SAMPLE])
    rows = _rows(fitted, images, sample)
    with threadpool_limits(1, "openmp"):
        start = KMeans(int(argument), n_init=10, random_state=0).fit(rows).cluster_centers_
    centroids = nn.Parameter(torch.from_numpy(start).float().to(fitted.device))
    optimizer = torch.optim.Adam([*encoder.parameters(), centroids], lr=RATE_DEC)
    for step in range(settings.sharpening):
        if step % REFRESH == 0:
            report(Progress("sharpening the clusters", step, settings.sharpening))
            with torch.no_grad():
                now = torch.from_numpy(_rows(fitted, images, sample)).to(fitted.device)
                target = sharpened(assigned(now, centroids))
        chosen = rng.integers(len(sample), size=min(settings.batch_size, len(sample)))
        found = assigned(encoder.embed(_batch(images, sample[chosen], fitted.device)), centroids)
        _descend(optimizer, kl_div(found.log(), target[torch.from_numpy(chosen)], reduction="batchmean"))
    return EncoderExtractor(_still(encoder), fitted.device)


def assigned(embedding: Tensor, centroids: Tensor) -> Tensor:
    """Student's t of the distances: (N, D), (K, D) -> (N, K), rows sum to one."""
    weights = 1 / (1 + torch.cdist(embedding, centroids).square())
    return weights / weights.sum(dim=1, keepdim=True)


def sharpened(assignments: Tensor) -> Tensor:
    """Squares of assignments over the size of each cluster: (N, K) -> (N, K), rows sum to one."""
    weights = assignments.square() / assignments.sum(dim=0)
    return weights / weights.sum(dim=1, keepdim=True)


def _side(images: ImageSet) -> int:
    """The largest of 8, 16 and 32 that the images have."""
    return next((side for side in (MOST, 16) if side <= images.side), 2 * LAST)


def _batch(images: ImageSet, rows: IntArray, device: torch.device) -> Tensor:
    return as_input(torch.from_numpy(images.take(images.ids[rows])).to(device))


def _rows(fitted: EncoderExtractor, images: ImageSet, rows: IntArray) -> FloatArray:
    """(n, D) as the encoder is now, without its batch statistics moving."""
    fitted.encoder.eval()
    parts = [fitted(images.take(images.ids[rows[i : i + fitted.batch]])) for i in range(0, len(rows), fitted.batch)]
    return np.concatenate(parts)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()


def _still(encoder: ConvEncoder) -> ConvEncoder:
    return encoder.eval().requires_grad_(False)
