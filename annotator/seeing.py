"""How well the features that choose tell a project's images apart, and whether others at hand do better."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from annotator.project import StoreProject
from annotator.settings import Learning, of_project
from learner.data import ImageSet
from learner.features import extractor, named, parse
from learner.features.quality import altered
from learner.models import weights
from learner.questions import PENULTIMATE, strategy_features
from learner.settings import as_dict

FEW = 300  # images: of fewer nothing is said, and so many are looked at
CLEARLY = 0.1


@dataclass(frozen=True)
class Seen:
    """Shares of altered images that are known again, in [0, 1]."""

    features: str
    known: float
    better: str = ""  # features that do clearly better; empty: there are none at hand
    better_known: float = 0.0


def compare(instance: Path) -> Seen | None:
    """What chooses now against the pixels and the best pretrained net at hand; None for few images. Writes nothing."""
    project = StoreProject(instance)
    try:
        if len(project.images) < FEW:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return _compared(replace(project.images, cache=Path(folder), memo={}), of_project(project.db))
    finally:
        project.db.close()


def _compared(images: ImageSet, chosen: Learning) -> Seen:
    text = "" if chosen.loop.features == PENULTIMATE else chosen.loop.features
    text = named(text or as_dict(chosen.method.settings).get("features", "pca"), images)
    features = strategy_features(text, chosen.method, images)
    seen = Seen(text, altered(images, extractor(images, features), FEW).recognition)
    others = {"pca"} | {f"timm:{name}" for name in [weights.at_hand()] if name and not images.is_small}
    known = {
        other: altered(images, extractor(images, parse(other)), FEW).recognition for other in sorted(others - {text})
    }
    better = max(known, key=known.__getitem__, default="")
    if better and known[better] > seen.known + CLEARLY:
        return replace(seen, better=better, better_known=known[better])
    return seen
