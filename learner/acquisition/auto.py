"""auto: which strategy when. The schedule is a table; docs/strategies.md has the measurements behind it."""

import numpy as np

from learner.acquisition import STRATEGIES
from learner.acquisition.candidates import Candidates, Picks
from learner.settings import NoSettings

# labels per class, on average, from which a strategy asks; the last one that holds counts
SCHEDULE: dict[str, tuple[tuple[float, str], ...]] = {
    "spreading": ((0, "typiclust"), (20, "max_herding")),
    "frozen": ((0, "typiclust"), (2, "bait")),
    "semi-supervised": ((0, "typiclust"), (20, "badge")),
    "supervised": ((0, "typiclust"), (5, "badge"), (20, "margin")),
}
KINDS = {
    "propagate": "spreading", "frozen": "frozen", "fixmatch": "semi-supervised", "ssl": "semi-supervised",
    "basic": "supervised", "transfer": "supervised",
    "auto": "spreading",  # what it begins with; once a method has won, that one's
}  # fmt: skip
COLD = "typiclust"


def advise(labels: int, num_classes: int, method: str) -> tuple[str, str]:
    """The strategy for so many labels; and, for people, which, why, and what comes after it."""
    if not labels:
        return COLD, f"auto: {COLD}, no labels yet"
    schedule, each = SCHEDULE[KINDS.get(method, "supervised")], labels / num_classes
    name = next(name for start, name in reversed(schedule) if each >= start)
    after = next((f", {other} from {start:g} on" for start, other in schedule if start > each), "")
    return name, f"auto: {name} at {each:.1f} labels per class, method {method}{after}"


def select_auto(candidates: Candidates, size: int, rng: np.random.Generator, settings: NoSettings) -> Picks:
    """By the advice; the loop asks for it before it predicts, so that the quantities are there."""
    name, why = advise(int(candidates.stage.sum()), candidates.num_classes, candidates.method)
    row = STRATEGIES[name]
    picks: Picks = row.load()(candidates, size, rng, row.settings())
    return Picks(picks.ids, picks.scores, picks.probabilities, why)
