"""What every strategy has to beat."""

import numpy as np

from learner.acquisition.candidates import Candidates, Picks
from learner.config import NoSettings


def select_random(candidates: Candidates, size: int, rng: np.random.Generator, settings: NoSettings) -> Picks:
    """Uniform without replacement; every image of the pool is selected with probability size / N."""
    ids = candidates.pool.ids
    size = min(size, len(ids))
    chosen = rng.choice(ids, size=size, replace=False)
    return Picks(chosen, probabilities=np.full(size, size / max(len(ids), 1)))
