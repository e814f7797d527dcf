"""Images that leave least to be known about the predictions on all of them: Fisher information. Ash et al. 2021.

The binary approximation (Huseljic et al. 2024) asks of an image only whether its prediction is right: its information
is p (1 - p) z z', H x H instead of CH x CH. Adding an image changes the inverse by a matrix of rank one, and every
score by two scalar products: O(N H) for each pick.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learner.acquisition.candidates import Candidates, Picks
from learner.acquisition.distances import parts
from learner.acquisition.settings import BaitSettings
from learner.device import generator


def select_bait(candidates: Candidates, size: int, rng: np.random.Generator, settings: BaitSettings) -> Picks:
    """Greedily the largest fall of tr(M^-1 F), M of the labeled and chosen, F of all; then the least useful go.

    Scores are the falls when an image was chosen, before anything was removed.
    """
    pool, labeled = candidates.pool, candidates.labeled
    order = torch.randperm(len(pool.ids), generator=generator(rng))  # ties are drawn
    x = _information(pool.finite("probs"), pool.finite("penultimate"))[order]  # (N, H)
    size = min(size, len(x))
    if not size:
        return Picks(pool.ids[:0], np.empty(0))
    known = x[:0]
    if len(labeled.ids):
        known = _information(labeled.finite("probs"), labeled.finite("penultimate"))
    total = (_gram(x) + _gram(known)) / (len(x) + len(known))  # F
    state = _State.of(x, _gram(known) + settings.ridge * torch.eye(x.shape[1], dtype=torch.float64), total)
    rows, falls = forward(state, min(len(x), round(settings.oversample * size)))
    kept = backward(state, rows, size)
    chosen = [row for row in rows if row in kept]
    return Picks(pool.ids[order[chosen].numpy()], np.array([falls[rows.index(row)] for row in chosen], np.float64))


def _information(probs: Tensor, penultimate: Tensor) -> Tensor:
    """(N, C), (N, H) -> rows whose outer products are the information: (N, H)."""
    likeliest = probs.amax(dim=1, keepdim=True).clamp(max=1)
    return penultimate * (likeliest * (1 - likeliest)).sqrt()


def _gram(x: Tensor) -> Tensor:
    """Sum of the outer products of the rows, in float64: (N, H) -> (H, H)."""
    total = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for part in parts(x):
        total += part.T.double() @ part.double()
    return total


@dataclass(eq=False)
class _State:
    """M^-1 with F, and for every image the two forms that its score is made of."""

    x: Tensor  # (N, H)
    inverse: Tensor  # (H, H), M^-1
    total: Tensor  # (H, H), F
    inside: Tensor  # (N,), x' M^-1 x
    across: Tensor  # (N,), x' M^-1 F M^-1 x

    @classmethod
    def of(cls, x: Tensor, known: Tensor, total: Tensor) -> "_State":
        inverse = torch.linalg.inv(known)
        middle = inverse @ total @ inverse
        rows = [part.double() for part in parts(x)]
        inside = torch.cat([((part @ inverse) * part).sum(dim=1) for part in rows])
        return cls(x, inverse, total, inside, torch.cat([((part @ middle) * part).sum(dim=1) for part in rows]))

    def change(self, row: int, sign: int) -> None:
        """Add (1) or remove (-1) the image at `row`: Sherman and Morrison."""
        u = self.inverse @ self.x[row].double()  # (H,)
        scale = sign / (1 + sign * float(self.inside[row]))
        v = self.inverse @ (self.total @ u)
        both = self.x @ torch.stack([u, v], dim=1).to(self.x)  # (N, 2)
        by_u, by_v = both.double().T
        self.inside -= scale * by_u.square()
        self.across += scale * (scale * float(u @ self.total @ u) * by_u.square() - 2 * by_u * by_v)
        self.inverse -= scale * torch.outer(u, u)


def forward(state: _State, size: int) -> tuple[list[int], list[float]]:
    """Rows in the order of the largest fall of tr(M^-1 F), and the falls."""
    free = torch.ones(len(state.x), dtype=torch.bool)
    rows: list[int] = []
    falls: list[float] = []
    for _ in range(size):
        score = (state.across / (1 + state.inside)).clamp(min=0)
        row = int(score.masked_fill(~free, -torch.inf).argmax())
        rows.append(row)
        falls.append(float(score[row]))
        free[row] = False
        state.change(row, 1)
    return rows, falls


def backward(state: _State, rows: list[int], size: int) -> set[int]:
    """Of these rows, those that stay when the one whose removal costs least goes, again and again."""
    members = torch.tensor(rows)
    state = _State(
        state.x[members], state.inverse, state.total, state.inside[members].clone(), state.across[members].clone()
    )
    free = torch.ones(len(members), dtype=torch.bool)
    while int(free.sum()) > size:
        cost = state.across / (1 - state.inside).clamp(min=1e-9)
        row = int(cost.masked_fill(~free, torch.inf).argmin())
        free[row] = False
        state.change(row, -1)
    return {row for row, stays in zip(rows, free.tolist(), strict=True) if stays}
