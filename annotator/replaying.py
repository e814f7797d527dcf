"""`annotator replay`: the loop once more on a project's own labels. Would another way of asking have saved some?

The pool is what people labeled, minus the audit; the exam is the audit, which was drawn at random and never trained.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from annotator import settings
from annotator.asked import choices
from annotator.errors import AnnotatorError
from annotator.pages.status import MIN_AUDIT
from annotator.project import StoreProject
from annotator.replayed import RESULT
from annotator.simulating import How, Outcome, differences, simulate
from annotator.store import copy
from learner.benchmark.study import Study
from learner.data import id_array
from learner.datasets import Dataset
from learner.intervals import wilson
from learner.simulate import Cell

LEAST = 200  # labels; with fewer every difference drowns in the interval of the accuracy
COMPARED = ("random", "typiclust", "margin", "badge")


@dataclass(frozen=True)
class Replay:
    """What came out, and how far it can be trusted."""

    outcome: Outcome
    verdict: str
    exam: int  # audit images


def replay(instance: Path, strategies: Sequence[str], seeds: int, how: How) -> Replay:
    """Every strategy over the project's labels. AnnotatorError where there are too few of them."""
    dataset = of_project(instance)
    plan = study(instance, dataset, strategies, seeds)
    outcome = simulate(plan, instance / "replay", how, dataset)
    found = Replay(outcome, verdict(outcome, len(dataset.test)), len(dataset.test))
    said = {"verdict": found.verdict, "labels": len(dataset.train), "exam": found.exam, "seeds": seeds,
            "strategies": list(strategies), "when": f"{datetime.now(UTC):%Y-%m-%d}"}  # fmt: skip
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
    text = hashlib.sha256(np.concatenate([known, classes, exam.images.ids, exam.classes]).tobytes()).hexdigest()[:12]
    return Dataset(f"project:{text}", names, images.only(known), classes, exam.images, exam.classes)


def study(instance: Path, dataset: Dataset, strategies: Sequence[str], seeds: int) -> Study:
    """Learned as the project learns, at budgets that grow by half, up to half of its labels."""
    project = StoreProject(instance)
    try:
        learned = settings.of_project(project.db)
    finally:
        project.db.close()
    loop = replace(
        learned.loop, cold_start="random", budgets=budgets(len(dataset.train)), budget=0, tail_size=0,
        full_query_only=True,
    )  # fmt: skip
    cells = tuple(
        Cell(dataset.name, learned.method, strategy, replace(loop, seed=seed))
        for seed in range(seeds)
        for strategy in choices(strategies, {})
    )
    return Study(f"replay of {instance.resolve().name}", cells, "Would another strategy have needed fewer labels?")


def budgets(labels: int) -> tuple[int, ...]:
    """20, 30, 45, ... up to half of the labels: beyond, every strategy asks much the same."""
    found = [20]
    while round(found[-1] * 1.5) <= labels // 2:
        found.append(round(found[-1] * 1.5))
    return tuple(found)


def verdict(outcome: Outcome, exam: int) -> str:
    """In a sentence: who is better than random over the whole curve, and how wide the interval of an accuracy is."""
    compared = [item for items in differences(outcome).values() for item in items if item.labels is None]
    better = [item for item in compared if item.p_holm < 0.05 and item.mean > 0]
    worse = [item.arm for item in compared if item.p_holm < 0.05 and item.mean < 0]
    if better:
        best = max(better, key=lambda item: item.mean)
        said = (f"{best.arm} would have been better than {best.reference}: {100 * best.mean:+.1f} points on average "
                f"(95 % interval {100 * best.low:+.1f} to {100 * best.high:+.1f})")  # fmt: skip
    else:
        said = (
            f"{compared[0].reference} would have been as good, as far as {compared[0].n} seeds can tell"
            if compared
            else "nothing was compared"
        )
    said += f"; worse than that: {', '.join(worse)}" if worse else ""
    return f"{said}. {certainty(outcome, exam)}"


def certainty(outcome: Outcome, exam: int) -> str:
    """The seeds share one audit, so that their spread does not know how good the audit itself is."""
    last = outcome.rows[-1]["accuracy"]
    low, high = wilson(round(last * exam), exam)
    return (
        f"Measured on the {exam} audit images: an accuracy of {last:.0%} there stands for {low:.0%} to {high:.0%}, "
        "and differences smaller than that may turn out otherwise on other images."
    )
