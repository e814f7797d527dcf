"""The numbers of a report: every table as columns and rows of text, so that all forms of it say the same."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from learner.acquisition import is_oracle
from learner.benchmark.statistics import (
    Arms,
    Axis,
    Comparison,
    Values,
    areas,
    by_arm,
    every_pair,
    interval,
    penalties,
    require_paired,
    shared_budgets,
)
from learner.benchmark.summary import curves
from learner.errors import LearnerError

Row = Mapping[str, Any]
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
AXES: dict[Axis, str] = {"rounds": "rounds alike", "labels": "labels", "log2": "log2 of the labels"}
MOST_LEVELS = 6  # the highest that a curve crosses


@dataclass(frozen=True)
class Table:
    """A table of a setting."""

    name: str  # of its file
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    heat: tuple[tuple[float, ...], ...] = ()  # of the last cells of each line, in [0, 1]: how much they are shaded


def tables(rows: Sequence[Row], value: str) -> list[Table]:
    """Every table of one setting. What needs several seeds or strategies is left out where there is one.

    Strategies that know the truth are shown and not tested.
    """
    arms = by_arm(rows, "strategy", value)
    found = [budget_table(rows, value)]
    with suppress(LearnerError):  # runs without a number of labels that all have: then nothing is tested either
        found.append(area_table(arms))
        found += [saving_table(arms)] if len(shared_budgets(arms)) > 1 else []
    tried = [row for row in rows if not is_oracle(str(row["strategy"]))]
    rivals = by_arm(tried, "strategy", value)
    try:
        require_paired(rivals)
        found += [pair_table(tried, value), penalty_table(tried, value)] if len(rivals) > 1 else []
    except LearnerError as error:
        note = f"Nothing was tested: {error}."
        found.append(Table("pairs", "Pairs of strategies", ("strategy",), (), note))
    return [*found, selection_table(rows), *told_table(rows), cost_table(rows)]


def percent(mean: float, low: float | None = None, high: float | None = None) -> str:
    """A share in percent, with its interval where there is one."""
    return (
        f"{100 * mean:.1f}"
        if low is None or high is None
        else f"{100 * mean:.1f} ({100 * low:.1f} to {100 * high:.1f})"
    )


def spread(values: Values) -> str:
    """The mean over seeds, with its interval where there are several."""
    return percent(float(values.mean()), *(interval(values) if len(values) > 1 else (None, None)))


def budget_table(rows: Sequence[Row], value: str) -> Table:
    """Mean and standard deviation at every budget."""
    found = curves([dict(row) for row in rows], value=value)
    budgets = sorted({point.labels for points in found.values() for point in points})
    lines = []
    for (name,), points in found.items():
        cells = {p.labels: f"{100 * p.mean:.1f} ± {100 * p.std:.1f}" for p in points}
        lines.append((str(name), *(cells.get(labels, "not measured") for labels in budgets)))
    columns = ("strategy", *map(str, budgets))
    return Table("budgets", f"{value.replace('_', ' ').capitalize()} in % by labels", columns, tuple(lines),
                 "Mean ± standard deviation over seeds.")  # fmt: skip


def area_table(arms: Arms) -> Table:
    """Area under the budget curve, the highest first, on each axis."""
    budgets = shared_budgets(arms)
    found = {arm: {axis: areas(seeds, budgets, axis) for axis in AXES} for arm, seeds in arms.items()}
    order = sorted(found, key=lambda arm: -float(found[arm]["rounds"].mean()))
    lines = tuple((arm, *(spread(found[arm][axis]) for axis in AXES)) for arm in order)
    return Table("areas", "Area under the budget curve, %", ("strategy", *AXES.values()), lines,
                 "The mean height of the curve, with its 95 % interval over seeds by Student's t.")  # fmt: skip


def reached(labels: Sequence[int], values: Sequence[float], level: float) -> float | None:
    """Labels at which a curve first reaches the level, straight between two budgets; None where it does not.

    A curve that begins above it has needed at most its first budget, which is what is returned.
    """
    if values[0] >= level:
        return float(labels[0])
    for (a, low), (b, high) in zip(
        zip(labels, values, strict=True), list(zip(labels, values, strict=True))[1:], strict=False
    ):
        if low < level <= high:
            return a + (b - a) * (level - low) / (high - low)
    return None


def saving_table(arms: Arms) -> Table:
    """Labels that the mean curve needs to reach a level, and how many fewer than random."""
    budgets = shared_budgets(arms)
    means = {arm: [float(np.mean([seed[labels] for seed in seeds.values()])) for labels in budgets]
             for arm, seeds in arms.items()}  # fmt: skip
    crossed = [level for level in LEVELS if any(max(mean) >= level > min(mean) for mean in means.values())]
    levels = {f"{level:.0%}": level for level in crossed[-MOST_LEVELS:]}
    if "random" in means:
        last = means["random"][-1]
        levels[f"random's {last:.1%} by {budgets[-1]}"] = last
    needs = {
        arm: {name: reached(budgets, mean, level) for name, level in levels.items()} for arm, mean in means.items()
    }
    base = needs.get("random", {})
    lines = [
        (arm, *(_saving(found[name], base.get(name), arm, budgets) for name in levels)) for arm, found in needs.items()
    ]
    columns = ("strategy", *levels)
    note = "On the mean curve, straight between budgets; in brackets what that saves against random."
    return Table("savings", "Labels needed to reach a level", columns, tuple(lines), note)


def _saving(needs: float | None, base: float | None, arm: str, budgets: Sequence[int]) -> str:
    """A curve that begins above the level needs at most its first budget, and saves at least so much."""
    if needs is None:
        return f"not by {budgets[-1]}"
    bound = needs <= budgets[0]
    said = f"≤ {needs:.0f}" if bound else f"{needs:.0f}"
    if arm == "random" or base is None or base <= budgets[0]:
        return said
    return f"{said} ({'≥ ' if bound else ''}{100 * (1 - needs / base):+.0f} %)"


def pair_table(rows: Sequence[Row], value: str) -> Table:
    """Differences of the areas of every pair, row minus column, with Holm's correction over all pairs."""
    found = {(item.arm, item.reference): item for item in every_pair(rows, value=value)}
    names = list(dict.fromkeys(name for pair in found for name in pair))
    lines = [(a, *(_pair(found.get((a, b)) or found.get((b, a)), a) for b in names)) for a in names]
    note = (
        "Paired by seed; * where Holm's correction over all pairs leaves p < 0.05; in brackets the effect, the mean "
        "over the standard deviation of the differences."
    )
    columns = ("row − column", *names)
    return Table("pairs", "Every pair: difference of the areas, points", columns, tuple(lines), note)


def _pair(item: Comparison | None, arm: str) -> str:
    if item is None:
        return "–"
    sign = 1 if item.arm == arm else -1
    effect = "" if item.effect is None else f" ({sign * item.effect:+.1f})"
    return f"{100 * sign * item.mean:+.1f}{' *' if item.p_holm < 0.05 else ''}{effect}"


def penalty_table(rows: Sequence[Row], value: str) -> Table:
    """The pairwise penalty matrix of this setting."""
    found = penalties(rows, ("dataset",), value=value)
    lines = [(name, *(f"{cell:.2f}" for cell in line)) for name, line in zip(found.arms, found.matrix, strict=True)]
    lines.append(("mean: how often beaten", *(f"{loss:.2f}" for loss in found.losses.values())))
    note = (
        "Share of budgets at which the row beats the column (paired t-test, p < 0.05, uncorrected), budgets doubling "
        "until random has 99 % of its last value. Ash et al. 2020."
    )
    return Table("penalties", "Pairwise penalty matrix", ("beats", *found.arms), tuple(lines), note)


def selection_table(rows: Sequence[Row]) -> Table:
    """What was asked in the end: it explains the rest."""
    last = max(row["labels"] for row in rows)
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["labels"] == last:
            groups[str(row["strategy"])].append(row)
    lines = [(name, *_selected(found)) for name, found in groups.items()]
    columns = ("strategy", "classes with a label", "total variation", "coverage radius", "rarest to commonest class")
    return Table("selection", f"What was asked by {last} labels", columns, tuple(lines), "Means over seeds.")


def told_table(rows: Sequence[Row]) -> list[Table]:
    """What strategies said of how they chose: clusters and noise, radius, which one `auto` took."""
    told = [row for row in rows if row.get("asked_note")]
    if not told:
        return []
    first = min(int(row["seed"]) for row in told)
    keys = ("strategy", "labels", "asked_note")
    lines = tuple(tuple(str(row[key]) for key in keys) for row in told if row["seed"] == first)
    return [Table("told", "How it was chosen", ("strategy", "labels", "what it said"), lines, f"Of seed {first}.")]


def _selected(rows: Iterable[Row]) -> tuple[str, ...]:
    rows = list(rows)
    counts = np.mean([sorted(row["labels_per_class"]) for row in rows], axis=0)
    means = [
        np.mean([row.get(key, np.nan) for row in rows])
        for key in ("classes_seen", "total_variation", "coverage_radius")
    ]
    return f"{means[0]:.1f}", f"{means[1]:.2f}", f"{means[2]:.2f}", f"{counts[0]:.1f} to {counts[-1]:.1f}"


def cost_table(rows: Sequence[Row]) -> Table:
    """Seconds of a round."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[str(row["strategy"])].append(row)
    parts = ("train_seconds", "predict_seconds", "select_seconds")
    lines = [
        (name, *(f"{np.median([row[part] for row in found]):.2f}" for part in parts)) for name, found in groups.items()
    ]
    devices = ", ".join(dict.fromkeys(str(row["device"]) for row in rows if row.get("device")))
    return Table("cost", "Seconds of a round", ("strategy", "training", "scoring", "choosing"), tuple(lines),
                 f"Medians; {devices or 'device unknown'}.")  # fmt: skip
