"""k-center greedy: the image farthest from everything labeled or chosen. Needs no model. Sener & Savarese 2018."""

import numpy as np
import torch
from torch import Tensor

from learner.acquisition.candidates import Candidates, Picks
from learner.acquisition.distances import nearest_squared, parts, squared_distances
from learner.device import generator
from learner.settings import NoSettings

BLOCK = 64  # images looked at together


def select_coreset(candidates: Candidates, size: int, rng: np.random.Generator, settings: NoSettings) -> Picks:
    """Farthest first, exactly. Without labels the first image is drawn at random.

    Scores are the distances to the nearest center when an image was chosen: the last one is about the radius that is
    left. The first of a cold start has the distance of the second.
    """
    pool = candidates.pool
    size = min(size, len(pool.ids))
    order = torch.randperm(len(pool.ids), generator=generator(rng))  # ties are drawn
    x = pool.finite("embedding")[order]
    if not size:
        return Picks(pool.ids[:0], np.empty(0))
    if len(candidates.labeled.ids):
        rows, squared = farthest_first(x, nearest_squared(x, candidates.labeled.finite("embedding")), size)
    else:
        nearest = nearest_squared(x, x[:1])
        nearest[0] = -1
        rows, squared = farthest_first(x, nearest, size - 1)
        rows, squared = [0, *rows], [*(squared[:1] or [0.0]), *squared]
    return Picks(pool.ids[order[rows].numpy()], np.sqrt(np.array(squared, np.float64)))


def farthest_first(x: Tensor, nearest: Tensor, size: int) -> tuple[list[int], list[float]]:
    """(N, D), squared distances to the nearest center (N,) -> rows, and how far each was, squared.

    -1 marks centers. Blocked: the farthest images are taken together, and chosen among exactly by their mutual
    distances for as long as none outside can be farther; then one matrix product updates all.
    """
    nearest = nearest.clone()
    rows: list[int] = []
    squared: list[float] = []
    left = int((nearest >= 0).sum())
    while len(rows) < min(size, left):
        number = min(BLOCK, left - len(rows))
        top = nearest.topk(min(number + 1, len(nearest)))
        block, values = top.indices[:number], top.values[:number].clone()
        outside = float(top.values[number]) if len(top.values) > number else -1.0
        mutual = squared_distances(x[block], x[block])
        taken: list[int] = []
        while len(rows) < size and len(taken) < number:
            best = int(values.argmax())
            if values[best] < outside:
                break
            rows.append(int(block[best]))
            squared.append(float(values[best]))
            taken.append(best)
            values = torch.minimum(values, mutual[best])
            values[taken] = -1
        for part in parts(torch.arange(len(x))):
            found = squared_distances(x[part], x[block[taken]]).amin(dim=1)
            nearest[part] = torch.minimum(nearest[part], found)
        nearest[block[taken]] = -1
    return rows, squared
