"""FixMatch against the clock: runs the next missing cells of a list within a time limit, and goes on in the next run.

    python benchmarks/time_boxed.py --data cifar10.npz [--seconds 540]

For whoever has a graphics card for half an hour. In this order: the step benchmark; CIFAR-10 with 40 and 250 stratified
labels by FixMatch, the accuracy of the averaged weights against steps and seconds; short runs of ssl and transfer with
their peak memory; FixMatch with 40 and 10 labels that random, typiclust, rdss and kmeans choose by the best features at
hand (the extra `offline`), then the same where half of the classes are thinned; more seeds. Rows go to
results/time_boxed-cuda.jsonl (or -cpu) as they come; a training that is cut off stays in --state and goes on there.
With --quick everything is tiny: a test of the script and of nothing else.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from machine import RESULTS, about

from learner import datasets
from learner.acquisition import STRATEGIES
from learner.config import LoopSettings, PropagateSettings
from learner.data import id_array
from learner.device import pick_device
from learner.errors import Cancelled
from learner.evaluate import evaluate
from learner.events import Event, Progress
from learner.loop import advance
from learner.settings import Choice, resolve
from learner.simulate import MemoryProject
from learner.training import METHODS, Classifier, Task, fit

HERE = Path(__file__).parent
Write = Callable[..., None]  # a cell and the values of a row
LEAST = 5.0  # seconds; with less left no cell is begun


@dataclass(frozen=True)
class Cell:
    """One thing to measure."""

    name: str
    method: str = ""  # empty: the step benchmark
    labels: int = 0
    seed: int = 0
    settings: tuple[tuple[str, Any], ...] = ()
    strategy: str = ""  # that chooses the labels; empty: stratified, which only an oracle can
    modified: bool = False


def cells(steps: int, quick: bool) -> list[Cell]:
    """What is missing most comes first."""
    paper = (("preset", "paper"), ("steps", steps))
    smoke: tuple[tuple[str, Any], ...] = (("steps", 100),)
    net: tuple[tuple[str, Any], ...] = (("backbone", "wide_resnet50_2.tv_in1k"), ("weights", "random"), *smoke)
    if quick:
        paper = (("architecture", "conv"), ("steps", steps), ("batch_size", 8), ("mu", 1))
        smoke, net = paper, (("backbone", "test_resnet"), ("weights", "random"), ("size", 32), ("steps", 4))
    short = (("architecture", "conv"), ("steps", 10), ("batch_size", 8), ("mu", 1))
    seeds = (0,) if quick else (0, 1, 2)
    curves = [
        Cell(f"fixmatch-{labels}-{seed}", "fixmatch", labels, seed, paper) for seed in seeds for labels in (40, 250)
    ]
    shorts = [
        Cell("ssl", "ssl", 250, 0, smoke),
        Cell("transfer", "transfer", 250, 0, net + smoke if not quick else net),
    ]
    strategies = ("typiclust",) if quick else ("random", "typiclust", "rdss", "kmeans")
    asked = [
        asking(labels, strategy, seed, modified, short if quick else paper)
        for seed in seeds for modified in (False, True) for labels in ((10,) if quick else (40, 10))
        for strategy in strategies
    ]  # fmt: skip
    return [Cell("step"), *curves[:2], *shorts, *asked, *curves[2:]]


def asking(labels: int, strategy: str, seed: int, modified: bool, settings: tuple[tuple[str, Any], ...]) -> Cell:
    name = f"fixmatch-{labels}-{strategy}-{seed}" + ("-modified" if modified else "")
    return Cell(name, "fixmatch", labels, seed, settings, strategy, modified)


def stratified(classes: np.ndarray, labels: int, seed: int) -> np.ndarray:
    """Positions of as many images of each class, at random."""
    rng = np.random.default_rng([seed, labels])
    each = max(1, labels // len(np.unique(classes)))
    return np.concatenate([rng.permutation(np.flatnonzero(classes == c))[:each] for c in np.unique(classes)])


def selected(cell: Cell, data: datasets.Dataset) -> np.ndarray:
    """Positions of the images that are labeled: of the first query of the cell's strategy, before any training."""
    if not cell.strategy:
        return stratified(data.train_classes, cell.labels, cell.seed)
    project = MemoryProject(data.train, len(data.classes))
    settings = LoopSettings(query_size=cell.labels, features="auto", seed=cell.seed)
    strategy = Choice(cell.strategy, STRATEGIES[cell.strategy].settings())
    advance(project, Choice("propagate", PropagateSettings()), strategy, settings)
    return data.train.positions(id_array(project.asked[0].ids))


class Run:
    """One cell within the time that is left."""

    def __init__(
        self, cell: Cell, data: datasets.Dataset, state: Path, write: Callable[..., None], spent: float
    ) -> None:
        self.cell, self.data, self.state, self._write = cell, data, state, write
        self._began, self._spent, self._step = time.monotonic(), spent, 0
        self.deadline = float("inf")

    def report(self, event: Event) -> None:
        if isinstance(event, Progress) and event.activity.startswith("training"):
            self._step = event.done
        if time.monotonic() > self.deadline:
            raise Cancelled

    def row(self, classifier: Classifier, finished: bool) -> None:
        """How right the averaged weights are now. The time of the look itself does not count."""
        began = time.monotonic()
        seconds = self._spent + began - self._began
        probs = classifier.predict(self.data.test, frozenset(), np.random.default_rng(0), lambda event: None).probs
        found = evaluate(probs, self.data.test_classes, "test")
        self._write(self.cell, steps=self._step, seconds=seconds, accuracy=found.accuracy,
                    balanced_accuracy=found.balanced_accuracy, peak_mb=peak(), finished=finished)  # fmt: skip
        self._began += time.monotonic() - began

    def train(self) -> None:
        """Until it is finished. Cancelled at the deadline: the training stays in its file."""
        cell, train = self.cell, self.data.train
        chosen = selected(cell, self.data)
        labels = dict(zip(train.ids[chosen].tolist(), self.data.train_classes[chosen].tolist(), strict=True))
        task = Task(train, labels, len(self.data.classes), cell.seed, report=self.report,
                    rank=lambda classifier: self.row(classifier, False), folder=self.state / cell.name)  # fmt: skip
        row = METHODS[cell.method]
        self.row(row.load()(task, resolve(row.settings, dict(cell.settings))), True)

    @property
    def spent(self) -> float:
        return self._spent + time.monotonic() - self._began


def peak() -> int:
    """Megabytes: of the graphics card, else of the process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated() >> 20)
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)


def read(path: Path) -> list[dict[str, Any]]:
    """Rows so far; a torn last line is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def missing(rows: list[dict[str, Any]], wanted: list[Cell]) -> Iterator[tuple[Cell, float]]:
    """Cells that are not finished, and the seconds that went into them so far."""
    for cell in wanted:
        mine = [row for row in rows if row["cell"] == cell.name]
        if not any(row["finished"] for row in mine):
            yield cell, max((row["seconds"] for row in mine), default=0.0)


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--seconds", default=540.0, show_default=True)
@click.option("--steps", default=30_000, show_default=True, help="Of a curve; the schedule spans them.")
@click.option("--every", default=30.0, show_default=True, help="Seconds between two points of a curve.")
@click.option("--state", type=click.Path(path_type=Path), default=Path("runs/time_boxed"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="Tiny cells, to try the script.")
def main(data: Path, seconds: float, steps: int, every: float, state: Path, out: Path | None, quick: bool) -> None:
    deadline = time.monotonic() + seconds
    fit.RANK_SECONDS = every
    out = out or RESULTS / f"time_boxed-{pick_device().type}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = about()

    def write(cell: Cell, **values: Any) -> None:
        row = {
            "cell": cell.name,
            "method": cell.method,
            "labels": cell.labels,
            "seed": cell.seed,
            "strategy": cell.strategy or "stratified",
            "modified": cell.modified,
            **values,
            **facts,
        }
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print({k: v for k, v in row.items() if k not in facts}, flush=True)

    for cell, spent in missing(read(out), cells(steps, quick)):
        if time.monotonic() + LEAST > deadline:
            print("the time is over; run it again for the rest")
            return
        if not cell.method:
            step_benchmark(cell, write, quick)
            continue
        text = f"npz:{data}" + ("@modified" if cell.modified else "")
        run = Run(cell, datasets.load(text, cell.seed), state, write, spent)
        run.deadline = deadline
        try:
            run.train()
        except Cancelled:
            write(cell, steps=run._step, seconds=run.spent, accuracy=None, peak_mb=peak(), finished=False)
            print(f"{cell.name} is cut off at step {run._step}; run it again: it goes on there")
            return
    print("nothing is missing")


def step_benchmark(cell: Cell, write: Write, quick: bool) -> None:
    """benchmarks/fixmatch_step.py as it is; its numbers are in its own file."""
    began = time.monotonic()
    small = ["--depth", "10", "--batch-size", "4", "--repeats", "1", "--no-save"] if quick else ["--repeats", "20"]
    subprocess.run([sys.executable, str(HERE / "fixmatch_step.py"), *small], check=True)
    write(cell, steps=0, seconds=time.monotonic() - began, accuracy=None, peak_mb=None, finished=True)


if __name__ == "__main__":
    main()
