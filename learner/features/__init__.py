"""FEATURES: what images look like before any label. Embeddings stay with their image set; costly ones also on disk.

A row fits an extractor to a set: `fit(images, argument, settings, report) -> Extractor`, always the same for the same
images. A text names one with everything that decides its rows, `timm:NAME@224@raw` for example.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from learner.config import AutoencoderFeatures, BackboneFeatures, DecFeatures, PcaFeatures, PixelFeatures
from learner.data import ByteArray, ImageSet
from learner.errors import UnknownName
from learner.events import Event, Progress
from learner.registry import Row, lookup, options
from learner.settings import resolve

FloatArray = NDArray[np.float32]
Report = Callable[[Event], None]


@dataclass(frozen=True)
class FeaturesRow(Row):
    argument: str = ""  # what follows the name and a colon


FEATURES: dict[str, FeaturesRow] = {
    "pixels": FeaturesRow("the pixels at low resolution", PixelFeatures, "learner.features.pixels:fit_pixels"),
    "pca": FeaturesRow("principal components of those pixels", PcaFeatures, "learner.features.pixels:fit_pca"),
    "timm": FeaturesRow(
        "the last layer of a pretrained net of timm", BackboneFeatures, "learner.features.backbone:fit_backbone",
        argument="NAME",
    ),
    "autoencoder": FeaturesRow(
        "what an autoencoder of the images keeps", AutoencoderFeatures, "learner.features.autoencoder:fit_autoencoder",
    ),
    "dec": FeaturesRow(
        "the same, pulled into so many clusters", DecFeatures, "learner.features.autoencoder:fit_dec",
        paper="Xie et al. 2016", argument="CLUSTERS",
    ),
}  # fmt: skip
OPTIONS = {
    "raw": ("normalize", False), "token": ("pool", "token"), "average": ("pool", "average"), "fc1": ("pool", "fc1"),
    "fc2": ("pool", "fc2"), "lengths": ("unit", False),
}  # fmt: skip


class Extractor(Protocol):
    """Pixels to rows, for any images."""

    side: int | None  # of the images that it wants to see; None: as they are kept
    batch: int  # images at once
    about: dict[str, Any]  # everything that decides its rows, JSON-friendly; empty: they are not worth keeping

    @property
    def width(self) -> int: ...  # D

    def __call__(self, pixels: ByteArray) -> FloatArray:
        """(n, H, W, 3) uint8 -> (n, D)."""

    def net(self, num_classes: int, hidden: int, dropout: float) -> Any:
        """A fresh net of MODELS that computes these rows and ends in a head: learner.models.head.Embedded."""


@dataclass(frozen=True)
class Features:
    """Which features: a row of FEATURES with its argument and settings."""

    name: str
    argument: str = ""
    settings: Any = None


def parse(text: str, **more: Any) -> Features:
    """`pca`, `pixels@SIZE`, `timm:NAME` ..., behind a name of timm @SIZE, @raw, @token, @average, @fc1, @fc2, @lengths.

    Of `more`, what the row has a setting for. Raises UnknownName, BadSetting.
    """
    rest, values = options(text, OPTIONS, "size")
    name, colon, argument = rest.partition(":")
    row = FEATURES.get(name)
    if row is None or bool(row.argument) != bool(argument) or (colon and not argument):
        forms = [f"{name}:{row.argument}" if row.argument else name for name, row in FEATURES.items()]
        raise UnknownName(f"unknown features {text!r}; choose from {', '.join(forms)}")
    known = {field.name for field in fields(row.settings)}
    more = {key: value for key, value in more.items() if key in known}
    return Features(name, argument, resolve(row.settings, more, values))


PCA = parse("pca")
DEFAULT = "vit_small_patch16_224.dino"  # where no weights are at hand and the network has to help


def named(text: str, images: ImageSet) -> str:
    """`text`; for an empty one those of the best pretrained net at hand; for `auto` what `best` says."""
    if text == "auto":
        return best(images)[0]
    if text:
        return text
    from learner.models.weights import at_hand

    return f"timm:{at_hand() or DEFAULT}"


def best(images: ImageSet) -> tuple[str, str]:
    """The best pretrained net at hand or pca, and why: the one that knows more altered images again.

    Needs no label; docs/features.md says what it is worth. The net looks at some 1,300 images for it, once.
    """
    if "best" not in images.memo:
        images.memo["best"] = _best(images)
    found: tuple[str, str] = images.memo["best"]
    return found


def _best(images: ImageSet) -> tuple[str, str]:
    from learner.models.weights import at_hand

    if images.is_small:
        return "pca", "images of a few pixels"
    name = at_hand()
    if not name:
        return "pca", "no pretrained weights are at hand"
    net, pixels = (recognition(images, text) for text in (f"timm:{name}", "pca"))
    said = f"altered images are known again in {net:.0%} by {name}, in {pixels:.0%} by their pixels"
    return (f"timm:{name}" if net >= pixels else "pca"), said


def recognition(images: ImageSet, text: str) -> float:
    """Share of altered images that are nearest to their own originals: learner.features.quality.altered."""
    from learner.features.quality import altered

    return altered(images, extractor(images, parse(text))).recognition


def _silent(event: Event) -> None:
    pass


def extractor(images: ImageSet, features: Features = PCA, report: Report = _silent) -> Extractor:
    """The extractor fitted to this set. Raises what building it can raise: UnknownName, WeightsError."""
    key = f"extractor {features}"
    if key not in images.memo:
        fit = lookup("feature extractor", FEATURES, features.name).load()
        images.memo[key] = fit(images, features.argument, features.settings, report)
    fitted: Extractor = images.memo[key]
    return fitted


def embed(images: ImageSet, features: Features = PCA, report: Report = _silent) -> FloatArray:
    """(N, D) embedding in the order of images.ids."""
    key = f"embedding {features}"
    if key not in images.memo:
        images.memo[key] = extract(extractor(images, features, report), images, report)
    embedding: FloatArray = images.memo[key]
    return embedding


def extract(fitted: Extractor, images: ImageSet, report: Report = _silent) -> FloatArray:
    """(N, D): an extractor, maybe fitted to other images, over this set in batches; what is on disk is not computed."""
    if fitted.about:
        from learner.features.cache import extract_kept

        return extract_kept(fitted, images, report)
    rows = np.empty((len(images), fitted.width), np.float32)
    for start in range(0, len(images), fitted.batch):
        rows[start : start + fitted.batch] = fitted(images.take(images.ids[start : start + fitted.batch]))
        report(Progress("embedding", min(start + fitted.batch, len(images)), len(images)))
    return rows


def seen_size(fitted: Extractor, images: ImageSet) -> tuple[int, int]:
    """(H, W) of the pixels that a saved model of these features wants to be given."""
    height, width = images.pixels.shape[1:3]
    return (fitted.side, fitted.side) if fitted.side else (height, width)
