"""What holds for every strategy: nothing nearly the same twice in one query, no class more than its share."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from learner.acquisition.candidates import Candidates, Picks, Select
from learner.acquisition.distances import parts
from learner.config import Choice
from learner.data import BoolArray, IntArray


@dataclass(frozen=True)
class Rules:
    """The default allows everything."""

    duplicates: float = 1.0  # images whose embeddings have a larger cosine are nearly the same
    class_quota: float = 0.0  # largest share of a query that is predicted to be of one class; 0: any

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"embedding"} if self.duplicates < 1 else ()) | ({"probs"} if self.class_quota else set())


def choose(
    select: Select, candidates: Candidates, size: int, rng: np.random.Generator, strategy: Choice, rules: Rules
) -> Picks:
    """What the strategy asks, without what the rules forbid, filled up by asking it again.

    Where the quota leaves nothing else it is dropped; where everything left is nearly the same as a pick, the query
    stays smaller. Picks with probabilities may hold duplicates, because leaving one out would make the probabilities
    wrong; a quota leaves it out and has none.
    """
    picks = select(candidates, size, rng, strategy.settings)
    rules = _applicable(candidates, picks, rules)
    if rules == Rules():
        return picks
    filter = _Filter(candidates, min(size, len(candidates.pool.ids)), rules)
    found = [_only(picks, filter.keep(picks.ids))]
    while filter.missing and filter.dropped:
        free = filter.free()
        if not free.any():
            if not filter.relax():
                break
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


class _Filter:
    """The images that were kept so far, and what they forbid."""

    def __init__(self, candidates: Candidates, size: int, rules: Rules) -> None:
        pool = candidates.pool
        self._ids, self._size, self._rules = pool.ids, size, rules
        self._sorted = np.argsort(pool.ids)
        self._unit = normalize(pool.need("embedding").float(), dim=1) if rules.duplicates < 1 else None  # (N, D)
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
        kept = np.zeros(len(rows), bool)
        for number, row in enumerate(rows.tolist()):
            if self._is_full(row) or self._is_alike(row):
                self.dropped += 1
            else:
                kept[number] = True
                self._rows.append(row)
        return kept

    def _is_full(self, row: int) -> bool:
        return self._class is not None and int((self._class[self._rows] == self._class[row]).sum()) >= self._most

    def _is_alike(self, row: int) -> bool:
        if self._unit is None or not self._rows:
            return False
        return bool((self._unit[self._rows] @ self._unit[row]).max() > self._rules.duplicates)

    def free(self) -> BoolArray:
        """(N,) images of the pool that may be asked beside those that are kept."""
        free = np.ones(len(self._ids), bool)
        free[self._rows] = False
        if self._class is not None:
            counts = np.bincount(self._class[self._rows], minlength=self._class.max() + 1)
            free &= counts[self._class] < self._most
        if self._unit is not None:
            free &= ~self._alike(self._unit, self._unit[self._rows])
        return free

    def _alike(self, unit: Tensor, kept: Tensor) -> NDArray[np.bool_]:
        found_in = [((part @ kept.T).amax(dim=1) > self._rules.duplicates) for part in parts(unit)]
        found: NDArray[np.bool_] = torch.cat(found_in).cpu().numpy()
        return found

    def relax(self) -> bool:
        """Give up the quota; False where there is none."""
        had = self._class is not None
        self._class = None
        return had


def _only(picks: Picks, kept: BoolArray) -> Picks:
    return Picks(picks.ids[kept], None if picks.scores is None else picks.scores[kept], picks.probabilities, picks.note)


def _joined(parts: list[Picks], rules: Rules, dropped: int) -> Picks:
    """One query; the probabilities hold only where nothing was left out."""
    scores = [part.scores for part in parts if part.scores is not None]
    said = [parts[0].note]
    if dropped:
        why = {"near-duplicates": rules.duplicates < 1, "the quota": rules.class_quota > 0}
        said.append(f"{dropped} left out: {' or '.join(name for name, on in why.items() if on)}")
    return Picks(
        np.concatenate([part.ids for part in parts]),
        np.concatenate(scores) if len(scores) == len(parts) else None,
        parts[0].probabilities if not dropped else None,
        "; ".join(filter(None, said)),
    )
