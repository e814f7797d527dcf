"""`annotator replay`: the loop once more on a project's own labels. Would another way of asking have saved some?

The pool is what people labeled, minus the audit; the exam is the audit, which was drawn at random and never trained.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from annotator import settings
from annotator.asked import choices
from annotator.errors import AnnotatorError
from annotator.pages.status import MIN_AUDIT
from annotator.project import StoreProject
from annotator.replayed import RESULT
from annotator.simulated import differences
from annotator.simulating import How, Outcome, simulate
from annotator.store import copy
from learner.benchmark.groups import by_setting
from learner.benchmark.statistics import LEVEL, Comparison, compare, paired
from learner.benchmark.study import Study
from learner.data import id_array
from learner.datasets import Dataset
from learner.simulate import Cell

LEAST = 200  # labels; with fewer every difference drowns in what another audit would say
COMPARED = ("random", "auto", "margin", "badge")  # and the project's own


@dataclass(frozen=True)
class Replay:
    """What came out, and how far it can be trusted."""

    outcome: Outcome
    verdict: str
    exam: int  # audit images


def replay(instance: Path, strategies: Sequence[str], seeds: int, how: How) -> Replay:
    """Every strategy over the project's labels, as `study` has it. AnnotatorError where there are too few labels."""
    dataset = of_project(instance)
    plan = study(instance, dataset, strategies, seeds)
    outcome = simulate(plan, instance / "replay", how, dataset)
    found = Replay(outcome, verdict(outcome, len(dataset.test)), len(dataset.test))
    said = {"verdict": found.verdict, "labels": len(dataset.train), "exam": found.exam, "seeds": seeds,
            "strategies": list(dict.fromkeys(cell.strategy.name for cell in plan.cells)),
            "when": f"{datetime.now(UTC):%Y-%m-%d}"}  # fmt: skip
    with copy.whole(instance / RESULT) as part:
        part.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return found


def of_project(instance: Path) -> Dataset:
    """The labels that stand, as a data set. AnnotatorError under 200 labels, or without an audit to measure on."""
    project = StoreProject(instance)
    try:
        images, labels, exam = project.images, project.news(0).labels, project.exam()
        names = tuple(project.class_names)
    finally:
        project.db.close()
    known = id_array(image for image in images.ids.tolist() if image in labels)
    audited = 0 if exam is None else len(exam.images)
    if len(known) + audited < LEAST:
        raise AnnotatorError(
            f"a replay needs {LEAST} labels, and {instance} has {len(known) + audited}: with fewer, no difference "
            "between strategies could be told from chance. Label more and try again"
        )
    if exam is None or audited < MIN_AUDIT:
        raise AnnotatorError(
            f"a replay is measured on the audit, of which {audited} images are labeled; it needs {MIN_AUDIT}. "
            "Label on: every tenth question is one of them (--audit-share)"
        )
    classes = id_array(labels[image] for image in known.tolist())
    drawn = np.concatenate([known, classes, exam.images.ids, exam.classes]).tobytes()
    text = hashlib.sha256(b"rows that say which images were right" + drawn).hexdigest()[:12]
    train = images.only(known)
    return Dataset(f"project:{text}", names, train, classes, exam.images, exam.classes, keep_right=True)


def study(instance: Path, dataset: Dataset, strategies: Sequence[str], seeds: int) -> Study:
    """Learned as the project learns, at budgets that grow by half, up to half of its labels.

    Without strategies `COMPARED`, and the project's own with its settings.
    """
    project = StoreProject(instance)
    try:
        learned = settings.of_project(project.db)
    finally:
        project.db.close()
    loop = replace(
        learned.loop, cold_start="random", budgets=budgets(len(dataset.train)), budget=0, tail_size=0,
        full_query_only=True,
    )  # fmt: skip
    own = learned.strategy
    asked = choices(strategies, {}) or [*choices([name for name in COMPARED if name != own.name], {}), own]
    cells = tuple(
        Cell(dataset.name, learned.method, strategy, replace(loop, seed=seed))
        for seed in range(seeds)
        for strategy in asked
    )
    return Study(f"replay of {instance.resolve().name}", cells, "Would another strategy have needed fewer labels?")


def budgets(labels: int) -> tuple[int, ...]:
    """20, 30, 45, ... up to half of the labels: beyond, every strategy asks much the same."""
    found = [20]
    while round(found[-1] * 1.5) <= labels // 2:
        found.append(round(found[-1] * 1.5))
    return tuple(found)


def verdict(outcome: Outcome, exam: int) -> str:
    """In a sentence: who is better than random over the whole curve, on other seeds and on other images alike."""
    found = list(compared(outcome))
    if not found:
        return "nothing was compared."
    better = [both for both in found if both.is_told and both.seeds.mean > 0]
    worse = [both.seeds.arm for both in found if both.is_told and both.seeds.mean < 0]
    reference, seeds = found[0].seeds.reference, found[0].seeds.n
    if better:
        best = max(better, key=lambda both: both.seeds.mean)
        said = (
            f"{best.seeds.arm} would have been better than {reference}: {100 * best.seeds.mean:+.1f} points on average "
            f"(95 % interval {_interval(best.seeds)} over the seeds, {_interval(best.images)} over the images)"
        )
    else:
        said = f"{reference} would have been as good, as far as {seeds} seeds and {exam} images can tell"
    said += f"; worse than that: {', '.join(worse)}" if worse else ""
    reach = max((both.images.high - both.images.low) / 2 for both in found)
    return (
        f"{said}. Measured on the {exam} audit images, the same for every strategy; on others a difference may be "
        f"up to {100 * reach:.1f} points larger or smaller."
    )


@dataclass(frozen=True)
class Both:
    """A strategy against the reference over the whole curve, twice."""

    seeds: Comparison  # paired over the seeds, on these images
    images: Comparison  # paired over the images, with these seeds

    @property
    def is_told(self) -> bool:
        """Is there a difference? The seeds share one audit, so that their spread alone does not know how good it is."""
        return self.seeds.p_holm < LEVEL and self.images.p_holm < LEVEL


def compared(outcome: Outcome) -> Iterator[Both]:
    """Every strategy that was compared."""
    groups = by_setting(outcome.rows)
    for name, items in differences(outcome).items():
        over_seeds = {item.arm: item for item in items if item.labels is None}
        reference = items[0].reference
        rows = [row for row in groups[name] if row["strategy"] in {*over_seeds, reference}]
        over_images = {item.arm: item for item in on_images(rows, reference) if item.labels is None}
        yield from (Both(item, over_images[arm]) for arm, item in over_seeds.items())


def on_images(rows: Sequence[dict[str, Any]], reference: str) -> list[Comparison]:
    """Against the reference, paired over the images: of each the share of seeds in which the model was right."""
    shared, seeds, _ = paired(rows)
    right: dict[tuple[str, int], list[list[int]]] = defaultdict(list)
    for row in shared:
        right[str(row["strategy"]), row["labels"]].append([int(mark) for mark in row["right"]])
    shares = {at: np.mean(found, axis=0).tolist() for at, found in right.items() if len(found) == len(seeds)}
    return compare(
        [{"strategy": strategy, "labels": labels, "seed": image, "accuracy": share}
         for (strategy, labels), found in shares.items() for image, share in enumerate(found)],
        reference,
    )  # fmt: skip


def _interval(item: Comparison) -> str:
    """In points."""
    return f"{100 * item.low:+.1f} to {100 * item.high:+.1f}"
