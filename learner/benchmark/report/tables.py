"""The numbers of a report: every table as columns and rows of text, so that all forms of it say the same."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from learner.acquisition import is_oracle
from learner.benchmark.groups import imbalanced
from learner.benchmark.statistics import (
    Arms,
    Axis,
    Comparison,
    Values,
    areas,
    by_arm,
    every_pair,
    interval,
    penalty_matrix,
    require_paired,
    shared_budgets,
)
from learner.benchmark.summary import curves, in_the_end, spelled
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
    found = [budget_table(rows, value), *f1_table(rows, value)]
    with suppress(LearnerError):  # runs without a number of labels that all have: then nothing is tested either
        found.append(area_table(arms))
        found += [saving_table(arms)] if len(shared_budgets(arms)) > 1 else []
    tried = rivals(rows)
    found += compared(tried, value)
    with suppress(LearnerError):
        arms = by_arm(tried, "strategy", value)
        found += [penalty_table([arms])] if len(arms) > 1 else []
    return [*found, selection_table(rows), *told_table(rows), cost_table(rows)]


def model_tables(rows: Sequence[Row], value: str) -> list[Table]:
    """Every table of models (column `model`) that share data and strategy; all labels are no budget to test at."""
    found = [budget_table(rows, value, "model"), *f1_table(rows, value, "model")]
    rows = [row for row in rows if not row.get("all")] or rows
    with suppress(LearnerError):
        found.append(area_table(by_arm(rows, "model", value), "model"))
    return found + compared(rows, value, "model")


def overall_tables(settings: Sequence[tuple[Sequence[Row], str]]) -> list[Table]:
    """Who beats whom over all settings that were tested, each judged by its own value; nothing for a single one."""
    found, without = [], 0
    for rows, value in settings:
        arms = by_arm(rivals(rows), "strategy", value)
        try:
            found += [arms] if len(arms) > 1 and penalty_matrix([arms]) else []
        except LearnerError:
            without += 1
    if len(found) < 2:
        return []
    table = penalty_table(found, several=True)
    more = f" Left out, because nothing could be tested there: {without} more." if without else ""
    return [replace(table, note=table.note + more)]


def rivals(rows: Iterable[Row]) -> list[Row]:
    """Rows of strategies that anybody could choose."""
    return [row for row in rows if not is_oracle(str(row["strategy"]))]


def compared(rows: Sequence[Row], value: str, by: str = "strategy") -> list[Table]:
    """Every pair, or why it was not tested; nothing where there is one arm."""
    arms = by_arm(rows, by, value)
    try:
        require_paired(arms)
        return [pair_table(rows, value, by)] if len(arms) > 1 else []
    except LearnerError as error:
        title = "Pairs of strategies" if by == "strategy" else f"Pairs of {by}s"
        return [Table("pairs", title, (by,), (), f"Nothing was tested: {error}.")]


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


def budget_table(rows: Sequence[Row], value: str, by: str = "strategy") -> Table:
    """Mean and standard deviation at every budget."""
    found = curves(rows, (by,), value)
    budgets = {point.labels: spelled(point.labels, point.is_all) for points in found.values() for point in points}
    lines = []
    for (name,), points in found.items():
        cells = {p.labels: f"{100 * p.mean:.1f} ± {100 * p.std:.1f}" for p in points}
        lines.append((str(name), *(cells.get(labels, "not measured") for labels in sorted(budgets))))
    columns = (by, *(budgets[labels] for labels in sorted(budgets)))
    return Table("budgets", f"{value.replace('_', ' ').capitalize()} in % by labels", columns, tuple(lines),
                 "Mean ± standard deviation over seeds.")  # fmt: skip


def f1_table(rows: Sequence[Row], value: str, by: str = "strategy") -> list[Table]:
    """Macro-F1 at every budget, beside the value that is compared, where the data are imbalanced."""
    if value == "macro_f1" or not imbalanced(rows) or not all("macro_f1" in row for row in rows):
        return []
    return [replace(budget_table(rows, "macro_f1", by), name="macro_f1", title="Macro-F1 in % by labels")]


def area_table(arms: Arms, by: str = "strategy") -> Table:
    """Area under the budget curve, the highest first, on each axis."""
    budgets = shared_budgets(arms)
    found = {arm: {axis: areas(seeds, budgets, axis) for axis in AXES} for arm, seeds in arms.items()}
    order = sorted(found, key=lambda arm: -float(found[arm]["rounds"].mean()))
    lines = tuple((arm, *(spread(found[arm][axis]) for axis in AXES)) for arm in order)
    return Table("areas", "Area under the budget curve, %", (by, *AXES.values()), lines,
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


def pair_table(rows: Sequence[Row], value: str, by: str = "strategy") -> Table:
    """Differences of the areas of every pair, row minus column, with Holm's correction over all pairs."""
    found = {(item.arm, item.reference): item for item in every_pair(rows, by=by, value=value)}
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


def penalty_table(settings: Sequence[Arms], several: bool = False) -> Table:
    """The pairwise penalty matrix of these settings. LearnerError where one cannot be tested."""
    found = penalty_matrix(settings)
    cells = zip(found.matrix.tolist(), found.met.tolist(), strict=True)
    lines = [
        (name, *(_beats(a, b, found.settings) for a, b in zip(*line, strict=True)))
        for name, line in zip(found.arms, cells, strict=True)
    ]
    lines.append(("mean: how often beaten", *(f"{loss:.2f}" for loss in found.losses.values())))
    what = f"Sums over {found.settings} settings of the share of budgets" if several else "Share of budgets"
    note = (
        f"{what} at which the row beats the column (paired t-test, p < 0.05, uncorrected), at budgets doubling until "
        "random has 99 % of its last value; one whose images all share is left out. Ash et al. 2020."
    )
    title = "Who wins over all settings: pairwise penalty matrix" if several else "Pairwise penalty matrix"
    return Table("penalties", title, ("beats", *found.arms), tuple(lines), note)


def _beats(wins: float, met: float, settings: int) -> str:
    """Of how many settings, where two did not meet in all of them."""
    if not met:
        return "never met"
    return f"{wins:.2f}" if met == settings else f"{wins:.2f} of {met:.0f}"


def selection_table(rows: Sequence[Row]) -> Table:
    """What was asked in the end: it explains the rest."""
    found = in_the_end(rows)
    ends = {int(own[0]["labels"]) for own in found.values()}
    lines = [(name, str(own[0]["labels"]), *_selected(own)) for name, own in found.items()]
    columns = (
        "strategy", "labels", "classes with a label", "total variation", "coverage radius", "rarest to commonest class",
    )  # fmt: skip
    title = f"What was asked by {min(ends)} labels" if len(ends) == 1 else "What was asked in the end"
    return Table("selection", title, columns, tuple(lines), f"Means over seeds. {end_said(ends)}")


def end_said(ends: Collection[int]) -> str:
    """At which number of labels the end is looked at."""
    if len(ends) == 1:
        return f"At {min(ends)} labels, the most that all strategies have."
    return "Each strategy at its own most labels, because all have none in common."


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
