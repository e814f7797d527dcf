"""What holds for every strategy: nothing nearly the same twice in one query, no class more than its share."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from learner.acquisition.candidates import Candidates, Picks, Select
from learner.acquisition.distances import parts, squared_distances
from learner.data import BoolArray, IntArray
from learner.settings import Choice

AT_ONCE = 2048  # rows whose likeness with as many others is looked at together


@dataclass(frozen=True)
class Rules:
    """The default allows everything."""

    duplicates: float = 1.0  # images that are more alike are nearly the same
    class_quota: float = 0.0  # largest share of a query that is predicted to be of one class; 0: any

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"embedding"} if self.duplicates < 1 else ()) | ({"probs"} if self.class_quota else set())


def choose(
    select: Select, candidates: Candidates, size: int, rng: np.random.Generator, strategy: Choice, rules: Rules
) -> Picks:
    """What the strategy asks, without what the rules forbid, filled up by asking it again.

    Where the rules leave nothing else they are dropped, the quota first: a query is never smaller for them. Picks with
    probabilities may hold duplicates, because leaving one out would make the probabilities wrong; a quota leaves images
    out, and the probabilities with them.
    """
    picks = select(candidates, size, rng, strategy.settings)
    rules = _applicable(candidates, picks, rules)
    if rules == Rules():
        return picks
    filter = _Filter(candidates, min(size, len(candidates.pool.ids)), rules)
    found = [_only(picks, filter.keep(picks.ids))]
    while filter.missing:
        free = filter.free()
        if not free.any():
            filter.relax()
            continue
        rest = candidates.asked(filter.kept)
        rest = replace(rest, pool=candidates.pool.only(free))
        picks = select(rest, filter.missing, rng, strategy.settings)
        found.append(_only(picks, filter.keep(picks.ids)))
    return _joined(found, rules, filter.dropped)


def _applicable(candidates: Candidates, picks: Picks, rules: Rules) -> Rules:
    """Before there is a model there is no quota."""
    quota = rules.class_quota if candidates.pool.probs is not None else 0.0
    drops = rules.duplicates < 1 and candidates.pool.embedding is not None
    if picks.probabilities is not None and not quota:
        drops = False
    return Rules(rules.duplicates if drops else 1.0, quota)


class _Likeness:
    """Cosine of two embeddings (N, D), or less where they are far apart for their kind: 1 for equal images.

    The distance counts because on plain images, which differ in brightness alone, every cosine is 1 or -1.
    """

    def __init__(self, embedding: Tensor) -> None:
        self._x = embedding
        self._scale = 2 * float(embedding.square().sum(dim=1).mean().clamp(min=1e-12))

    def __call__(self, rows: Tensor, others: Tensor) -> Tensor:
        """(n,), (m,) -> (n, m), at most 1. Of rows of length one both are the same."""
        x, y = self._x[rows], self._x[others]
        return torch.minimum(normalize(x, dim=1) @ normalize(y, dim=1).T, 1 - squared_distances(x, y) / self._scale)

    def any_above(self, rows: Tensor, others: Tensor, limit: float) -> BoolArray:
        """(n,) whether one of the (m,) others is more alike than that."""
        found = torch.zeros(len(rows), dtype=torch.bool)
        for at in parts(torch.arange(len(rows)), AT_ONCE):
            for some in parts(others, AT_ONCE):
                found[at] |= (self(rows[at], some) > limit).any(dim=1)
        said: BoolArray = found.numpy()
        return said


class _Filter:
    """The images that were kept so far, and what they forbid."""

    def __init__(self, candidates: Candidates, size: int, rules: Rules) -> None:
        pool = candidates.pool
        self._ids, self._size, self._rules = pool.ids, size, rules
        self._sorted = np.argsort(pool.ids)
        self._likeness = _Likeness(pool.need("embedding").float()) if rules.duplicates < 1 else None
        self._alike = np.zeros(len(pool.ids), bool)  # (N,) found to be nearly the same as one that was kept
        self._class = pool.need("probs").argmax(dim=1).cpu().numpy() if rules.class_quota else None  # (N,)
        self._most = max(1, int(np.ceil(rules.class_quota * size)))
        self._rows: list[int] = []
        self.dropped = 0

    @property
    def kept(self) -> IntArray:
        return self._ids[self._rows]

    @property
    def missing(self) -> int:
        return self._size - len(self._rows)

    def keep(self, ids: IntArray) -> BoolArray:
        """Which of these are kept, looked at in their order."""
        rows = self._sorted[np.searchsorted(self._ids, ids, sorter=self._sorted)]
        before = len(self._rows)
        for block in np.array_split(rows, max(1, -(-len(rows) // AT_ONCE))):
            self._keep_block(block)
        return np.isin(rows, self._rows[before:])

    def _keep_block(self, rows: IntArray) -> None:
        """Few enough for the likeness of every two of them."""
        at = torch.from_numpy(rows)
        alike, near = np.zeros(len(rows), bool), np.zeros((len(rows), len(rows)), bool)
        if self._likeness is not None:
            alike = self._likeness.any_above(at, torch.tensor(self._rows, dtype=torch.int64), self._rules.duplicates)
            near = (self._likeness(at, at) > self._rules.duplicates).numpy()
        for number, row in enumerate(rows.tolist()):
            if self._is_full(row) or alike[number]:
                self.dropped += 1
            else:
                self._rows.append(row)
                alike |= near[number]
        self._alike[rows[alike]] = True

    def _is_full(self, row: int) -> bool:
        return self._class is not None and int((self._class[self._rows] == self._class[row]).sum()) >= self._most

    def free(self) -> BoolArray:
        """(N,) images of the pool that may be asked beside those that are kept; fewer each time nothing was kept."""
        free = ~self._alike
        free[self._rows] = False
        if self._class is not None:
            counts = np.bincount(self._class[self._rows], minlength=self._class.max() + 1)
            free &= counts[self._class] < self._most
        if self._likeness is not None:
            rows, kept = torch.from_numpy(np.flatnonzero(free)), torch.tensor(self._rows, dtype=torch.int64)
            free[rows] = ~self._likeness.any_above(rows, kept, self._rules.duplicates)
        return free

    def relax(self) -> None:
        """Give up the quota, else the duplicates."""
        if self._class is not None:
            self._class = None
        else:
            self._likeness = None
            self._alike[:] = False


def _only(picks: Picks, kept: BoolArray) -> Picks:
    return Picks(picks.ids[kept], None if picks.scores is None else picks.scores[kept], picks.probabilities, picks.note)


def _joined(parts: list[Picks], rules: Rules, dropped: int) -> Picks:
    """One query. A quota makes the probabilities wrong even where nothing was left out: then all of them fitted it."""
    scores = [part.scores for part in parts if part.scores is not None]
    said = [parts[0].note]
    if dropped:
        why = {"near-duplicates": rules.duplicates < 1, "the quota": rules.class_quota > 0}
        said.append(f"{dropped} left out: {' or '.join(name for name, on in why.items() if on)}")
    return Picks(
        np.concatenate([part.ids for part in parts]),
        np.concatenate(scores) if len(scores) == len(parts) else None,
        parts[0].probabilities if not (dropped or rules.class_quota) else None,
        "; ".join(filter(None, said)),
    )
