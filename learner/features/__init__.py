"""FEATURES: what images look like before any label. Extractors and embeddings are kept with their image set.

A row fits an extractor to a set: `fit(images, components) -> Extractor`, always the same for the same images.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from learner.config import NoSettings
from learner.data import ByteArray, ImageSet
from learner.events import Event, Progress
from learner.registry import Row, lookup

FloatArray = NDArray[np.float32]
Extractor = Callable[[ByteArray], FloatArray]  # (n, H, W, 3) uint8 -> (n, D)
BATCH = 1024

FEATURES: dict[str, Row] = {
    "pixels": Row("the pixels at low resolution", NoSettings, "learner.features.pixels:fit_pixels"),
    "pca": Row("principal components of those pixels", NoSettings, "learner.features.pixels:fit_pca"),
}


def extractor(images: ImageSet, name: str = "pca", components: int = 64) -> Extractor:
    """The extractor fitted to this set; UnknownName lists the names there are."""
    key = f"extractor {name} {components}"
    if key not in images.memo:
        images.memo[key] = lookup("feature extractor", FEATURES, name).load()(images, components)
    fitted: Extractor = images.memo[key]
    return fitted


def embed(
    images: ImageSet, name: str = "pca", components: int = 64, report: Callable[[Event], None] | None = None
) -> FloatArray:
    """(N, D) embedding in the order of images.ids, D at most `components` (of "pixels": 768)."""
    key = f"embedding {name} {components}"
    if key not in images.memo:
        images.memo[key] = extract(extractor(images, name, components), images, report)
    embedding: FloatArray = images.memo[key]
    return embedding


def extract(fitted: Extractor, images: ImageSet, report: Callable[[Event], None] | None = None) -> FloatArray:
    """(N, D): an extractor, maybe fitted to other images, over this set in batches."""
    parts = []
    for start in range(0, max(len(images), 1), BATCH):
        parts.append(fitted(images.take(images.ids[start : start + BATCH])))
        if report:
            report(Progress("embedding", min(start + BATCH, len(images)), len(images)))
    return np.concatenate(parts)
