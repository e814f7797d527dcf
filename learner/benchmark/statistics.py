"""Is one strategy better than another? Tests on the differences seed by seed, and nothing less than that.

Two arms are compared only where seed s of both shares its first images, its weights and its exam: then the differences
between them are far less spread than the arms themselves.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, takewhile
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from learner.errors import LearnerError

Axis = Literal["rounds", "labels", "log2"]
Values = NDArray[np.float64]
Arms = dict[str, dict[int, dict[int, float]]]  # arm -> seed -> labels -> value
LEVEL = 0.05
SATURATED = 0.99  # of the last value of the reference: beyond, everything is equally good


class NotPaired(LearnerError):
    """Two arms without the same seeds."""


@dataclass(frozen=True)
class Comparison:
    """How far one arm is above another, over paired seeds. A positive difference: the arm has the higher value."""

    arm: str
    reference: str
    labels: int | None  # None: the area under the budget curve
    n: int  # seeds
    mean: float  # of the differences
    low: float  # 95 % interval of that mean, from Student's t
    high: float
    effect: float | None  # mean over standard deviation of the differences, Cohen's d_z; None where all are the same
    p_t: float  # paired t-test, two-sided
    p_wilcoxon: float  # signed ranks, two-sided
    p_holm: float  # p_t, corrected for the family it was tested in


@dataclass(frozen=True, eq=False)
class PenaltyMatrix:
    """matrix[i, j]: in how many settings arm i beats arm j, a setting counting by the share of its budgets."""

    arms: tuple[str, ...]
    matrix: Values  # (A, A), from 0 to `settings`
    settings: int
    met: Values  # (A, A): in how many settings both arms stand

    @property
    def losses(self) -> dict[str, float]:
        """How often each arm is beaten, averaged over all arms, itself included: the lower, the better.

        Two arms that met in some of the settings only count as if they had met in all.
        """
        shares = self.matrix / np.maximum(self.met, 1) * self.settings
        return dict(zip(self.arms, shares.mean(axis=0).tolist(), strict=True))


def by_arm(rows: Iterable[Mapping[str, Any]], by: str = "strategy", value: str = "accuracy") -> Arms:
    """Rows of one setting, ordered by arm, seed and budget. LearnerError where a row occurs twice."""
    arms: Arms = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        found = arms[str(row[by])][row["seed"]]
        if row["labels"] in found:
            raise LearnerError(
                f"{by} {row[by]!r} has two rows of seed {row['seed']} and {row['labels']} labels; "
                "compare within one data set, one method and one size of queries"
            )
        found[row["labels"]] = float(row[value])
    return {arm: dict(seeds) for arm, seeds in arms.items()}


def compare(
    rows: Iterable[Mapping[str, Any]],
    reference: str,
    *,
    by: str = "strategy",
    value: str = "accuracy",
    axis: Axis = "rounds",
) -> list[Comparison]:
    """Every other arm against the reference: first the areas, then each budget that all seeds of all arms have.

    Holm corrects the areas among themselves, as the main question, and all budgets of all arms as a second family.
    Raises NotPaired for other seeds, LearnerError for an unknown reference, one seed, or no budget in common.
    """
    arms = by_arm(rows, by, value)
    if reference not in arms:
        raise LearnerError(f"no {by} {reference!r} to compare with; there are {', '.join(arms)}")
    require_paired(arms)
    budgets = shared_budgets(arms)
    others = [arm for arm in arms if arm != reference]
    found = {arm: areas(seeds, budgets, axis) for arm, seeds in arms.items()}
    main = [_comparison(arm, reference, None, minus(found[arm], found[reference])) for arm in others]
    each = []
    for labels in budgets:
        columns = {arm: _column(seeds, labels) for arm, seeds in arms.items()}
        each += [_comparison(arm, reference, labels, minus(columns[arm], columns[reference])) for arm in others]
    return _corrected(main) + _corrected(each)


def every_pair(
    rows: Iterable[Mapping[str, Any]], *, by: str = "strategy", value: str = "accuracy", axis: Axis = "rounds"
) -> list[Comparison]:
    """The areas of all pairs of arms, each pair once, corrected by Holm over all of them.

    Raises NotPaired for other seeds, LearnerError where no budget is common to all.
    """
    arms = by_arm(rows, by, value)
    require_paired(arms)
    budgets = shared_budgets(arms)
    found = {arm: areas(seeds, budgets, axis) for arm, seeds in arms.items()}
    return _corrected([_comparison(a, b, None, minus(found[a], found[b])) for a, b in combinations(found, 2)])


def require_paired(arms: Arms) -> None:
    """NotPaired unless all arms have the same seeds, at least two."""
    first, *others = arms
    for arm in others:
        alone = arms[first].keys() ^ arms[arm].keys()
        if alone:
            seed = min(alone)
            has, lacks = (first, arm) if seed in arms[first] else (arm, first)
            raise NotPaired(f"{has!r} has a run of seed {seed}, {lacks!r} has none; run all arms with the same seeds")
    if len(arms[first]) < 2:
        raise NotPaired("a comparison needs at least two seeds; run more")


def paired(rows: Sequence[dict[str, Any]], by: str = "strategy") -> tuple[list[dict[str, Any]], list[int], list[int]]:
    """Rows of the seeds that every arm has, those seeds, and the others. All rows where none is shared."""
    seeds: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        seeds[str(row[by])].add(row["seed"])
    every = set().union(*seeds.values())
    shared = set.intersection(*seeds.values()) if seeds else every
    return [row for row in rows if row["seed"] in (shared or every)], sorted(shared), sorted(every - shared)


def left_out(seeds: Sequence[int], by: str = "strategy") -> str:
    """How a message names the seeds that only some arms have."""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}, which not every {by} has"


def shared_budgets(arms: Arms) -> list[int]:
    """Numbers of labels that every seed of every arm has, increasing. LearnerError where there is none."""
    shared = set.intersection(*(set(points) for seeds in arms.values() for points in seeds.values()))
    if not shared:
        raise LearnerError("the runs have no number of labels in common; run all arms with the same budgets")
    return sorted(shared)


def area(labels: Sequence[int], values: Sequence[float] | Values, axis: Axis = "rounds") -> float:
    """Area under the budget curve on an axis scaled to [0, 1]: the mean height. One budget: its value.

    "rounds": budgets at equal distances; "labels": at their numbers, so that most of the axis is the last ones;
    "log2": by their logarithm, so that the first labels count for more.
    """
    if len(labels) == 1:
        return float(values[0])
    places = np.arange(len(labels)) if axis == "rounds" else np.asarray(labels)
    at = np.log2(places) if axis == "log2" else places.astype(np.float64)
    return float(np.trapezoid(values, at) / (at[-1] - at[0]))


def holm(pvalues: Sequence[float]) -> list[float]:
    """Corrected so that one false discovery among all of them stays as unlikely as in one test. Holm 1979."""
    order = np.argsort(pvalues, kind="stable")
    factors = len(pvalues) - np.arange(len(pvalues))
    corrected = np.minimum(1, np.maximum.accumulate(np.asarray(pvalues, dtype=np.float64)[order] * factors))
    found = np.empty(len(pvalues))
    found[order] = corrected
    return [float(p) for p in found]


def minus(first: Values, second: Values) -> Values:
    """Seed by seed; what is equal but for the last bits of a float is equal."""
    return np.round(first - second, 12)


def paired_t(differences: Values) -> float:
    """Two-sided p of a mean of zero. 1 where all differences are the same: without spread there is no verdict."""
    from scipy import stats

    return 1.0 if not np.ptp(differences) else float(stats.ttest_1samp(differences, 0).pvalue)


def signed_ranks(differences: Values) -> float:
    """Two-sided p of Wilcoxon's test; 1 where no pair differs."""
    from scipy import stats

    return float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def interval(differences: Values, level: float = 1 - LEVEL) -> tuple[float, float]:
    """Of the mean, from Student's t with n - 1 degrees of freedom."""
    from scipy import stats

    half = stats.t.ppf((1 + level) / 2, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences))
    return float(differences.mean() - half), float(differences.mean() + half)


def penalties(
    rows: Iterable[Mapping[str, Any]],
    settings: Sequence[str] = ("dataset", "method", "cold_start"),
    *,
    by: str = "strategy",
    value: str = "accuracy",
    reference: str = "random",
    doubling: bool = True,
) -> PenaltyMatrix:
    """`penalty_matrix` of rows, which are of one setting where they agree in the columns `settings`."""
    groups: dict[tuple[Hashable, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[column] for column in settings)].append(row)
    return penalty_matrix([by_arm(group, by, value) for group in groups.values()], reference, doubling)


def penalty_matrix(settings: Sequence[Arms], reference: str = "random", doubling: bool = True) -> PenaltyMatrix:
    """Who beats whom, how often: Ash et al. 2020 (BADGE).

    Budgets count while the reference, where there is one, has at most 99 % of its last value, and the last one where
    only that is above. With `doubling` only those at which the labels since the first have doubled. One at which all
    arms have the same values, because they share its images (a common start, all labels), does not count. At each, a
    paired t-test below 0.05, uncorrected, decides by its sign.
    Raises NotPaired for other seeds within a setting, LearnerError where no two arms meet.
    """
    names = tuple(dict.fromkeys(arm for arms in settings for arm in arms))
    if len(names) < 2:
        raise LearnerError(f"a penalty matrix needs at least two arms; here is only {', '.join(names) or 'none'}")
    total, met = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)))
    for arms in settings:
        total += _beaten(arms, names, _checkpoints(arms, reference, doubling))
        there = np.array([name in arms for name in names])
        met += np.outer(there, there)
    return PenaltyMatrix(names, total, len(settings), met)


def _beaten(arms: Arms, names: Sequence[str], budgets: Sequence[int]) -> Values:
    """(A, A): the share of the budgets at which the row's arm beats the column's."""
    require_paired(arms)
    found = np.zeros((len(names), len(names)))
    for labels in budgets:
        columns = {names.index(arm): _column(seeds, labels) for arm, seeds in arms.items()}
        for one, other in combinations(columns, 2):
            differences = minus(columns[one], columns[other])
            if paired_t(differences) < LEVEL:
                winner, loser = (one, other) if differences.mean() > 0 else (other, one)
                found[winner, loser] += 1
    return found / len(budgets)


def _checkpoints(arms: Arms, reference: str, doubling: bool) -> list[int]:
    """The budgets that count, at least one."""
    budgets = shared_budgets(arms)
    own = [labels for labels in budgets if not _is_level(arms, labels)] or budgets
    sparse = _doubled(budgets) if doubling else budgets
    chosen = [labels for labels in own if labels in sparse] or own
    if reference not in arms:
        return chosen
    means = {labels: _column(arms[reference], labels).mean() for labels in budgets}
    rising = list(takewhile(lambda labels: means[labels] <= SATURATED * means[budgets[-1]], budgets))
    if rising == budgets[:-1]:  # it still rose when the run ended
        return chosen
    return [labels for labels in chosen if labels in rising] or chosen[:1]


def _is_level(arms: Arms, labels: int) -> bool:
    """Has every arm the same value there, seed by seed?"""
    first, *others = (_column(seeds, labels) for seeds in arms.values())
    return bool(others) and all(len(first) == len(other) and not minus(first, other).any() for other in others)


def _doubled(budgets: Sequence[int]) -> list[int]:
    """The first two, and each at which there are twice as many labels since the first as at the one before."""
    found = list(budgets[:2])
    for labels in budgets[2:]:
        if labels - budgets[0] >= 2 * (found[-1] - budgets[0]):
            found.append(labels)
    return found


def areas(seeds: dict[int, dict[int, float]], budgets: Sequence[int], axis: Axis) -> Values:
    """(S,) in the order of the seeds."""
    return np.array([area(budgets, [seeds[seed][labels] for labels in budgets], axis) for seed in sorted(seeds)])


def _column(seeds: dict[int, dict[int, float]], labels: int) -> Values:
    """(S,) in the order of the seeds."""
    return np.array([seeds[seed][labels] for seed in sorted(seeds)])


def _comparison(arm: str, reference: str, labels: int | None, differences: Values) -> Comparison:
    """Not corrected yet."""
    low, high = interval(differences)
    p = paired_t(differences)
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    effect = mean / spread if np.ptp(differences) else None
    ranks = signed_ranks(differences)
    return Comparison(arm, reference, labels, len(differences), mean, low, high, effect, p, ranks, p)


def _corrected(family: list[Comparison]) -> list[Comparison]:
    return [replace(item, p_holm=p) for item, p in zip(family, holm([item.p_t for item in family]), strict=True)]
