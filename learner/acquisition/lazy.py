"""Greedy choice of a set whose gains only fall: most of them never need to be computed again.

An old gain is an upper bound. The images with the highest bounds are opened together, one matrix product for all of
them, and images are taken among them for as long as none outside can be better. Minoux 1978.
"""

from collections.abc import Callable

import torch
from torch import Tensor

BLOCK = 64  # images opened together

Gains = Callable[[], Tensor]  # (b,) gains of the opened images, now
Open = Callable[[Tensor], Gains]  # rows (b,)


def lazy_greedy(bounds: Tensor, size: int, opened: Open, take: Callable[[int], None]) -> tuple[list[int], list[float]]:
    """Rows in the order in which they are chosen, and the gain of each.

    `bounds` (N,): gains at the beginning, or more. `opened(rows)` gives a function of their gains now, and `take(row)`
    says that a row was chosen; with `size` above N, all are.
    """
    bounds = bounds.clone()
    chosen: list[int] = []
    gains_of: list[float] = []
    size = min(size, len(bounds))
    while len(chosen) < size:
        number = min(BLOCK, len(bounds) - len(chosen))
        top = bounds.topk(min(number + 1, len(bounds)))
        rows = top.indices[:number]
        outside = float(top.values[number]) if len(top.values) > number else -torch.inf
        gains = opened(rows)
        now = gains()
        left = torch.ones(number, dtype=torch.bool)
        while left.any() and len(chosen) < size:
            best = int(now.masked_fill(~left, -torch.inf).argmax())
            if now[best] < outside:
                break
            row = int(rows[best])
            chosen.append(row)
            gains_of.append(float(now[best]))
            left[best] = False
            take(row)
            now = gains()
        bounds[rows] = torch.where(left, now.to(bounds), -torch.inf)
    return chosen, gains_of
