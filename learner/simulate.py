"""The loop with the truth as the annotator: MemoryProject answers what is published, run_cell() is one seed's run."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch

from learner import datasets
from learner.acquisition import STRATEGIES
from learner.acquisition.selection import Selection
from learner.config import LoopSettings
from learner.data import Exam, ImageSet, IntArray, id_array
from learner.errors import LearnerError
from learner.events import Event, Predicted, RoundFinished, RoundStarted
from learner.features import embed
from learner.loop import advance
from learner.oracles import answers
from learner.project import LoopState, News, Query
from learner.questions import PENULTIMATE, strategy_features
from learner.rng import stream
from learner.settings import Choice, as_dict


class MemoryProject:
    """A project in memory. With `truth` it answers every query at once; without, `answer` is the person."""

    folder = None

    def __init__(
        self,
        images: ImageSet,
        num_classes: int,
        *,
        truth: IntArray | None = None,  # (N,) class index of images.ids: what is answered
        classes: IntArray | None = None,  # (N,) what they are, where the answers may be wrong
        exam: Exam | None = None,
        report: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.images, self.num_classes = images, num_classes
        self.asked: list[Query] = []  # every query that was published, in order
        self.tail = Query()
        self._truth = None if truth is None else dict(zip(images.ids.tolist(), truth.tolist(), strict=True))
        self._classes = truth if classes is None else classes
        self._exam, self._report = exam, report
        self._log: list[tuple[int, int | None]] = []  # the position + 1 is the cursor
        self._state: LoopState | None = None
        self._models: dict[int, Any] = {}  # round -> its net: of this round and the one before

    def answer(self, image: int, label: int | None) -> None:
        """What a person says of an image: a class index, or None to skip it."""
        self._log.append((image, label))

    def news(self, cursor: int) -> News:
        changed = {image for image, _ in self._log[cursor:]}
        latest = {image: label for image, label in self._log if image in changed}
        labels = {image: label for image, label in latest.items() if label is not None}
        return News(len(self._log), labels, frozenset(latest.keys() - labels.keys()), len(changed))

    def exam(self) -> Exam | None:
        return self._exam

    def doubtable(self) -> frozenset[int]:
        """None: an oracle would say the same again, and a second answer is a label of the budget."""
        return frozenset()

    def truth(self, ids: IntArray) -> IntArray:
        if self._classes is None:
            raise LearnerError("the classes of these images are not known; choose a strategy that does not need them")
        return self._classes[self.images.positions(ids)]

    def load_state(self) -> LoopState | None:
        return self._state

    def save_state(self, state: LoopState) -> None:
        self._state = state

    def publish(self, query: Query, source: str, round: int) -> None:
        if source == "tail":
            self.tail = query
        if source != "query":
            return
        if query not in self.asked:
            self.asked.append(query)
        if self._truth is not None:
            answered = {image for image, _ in self._log}
            for image in query.ids:
                if image not in answered:
                    self.answer(image, self._truth[image])

    def previous(self, round: int) -> Any:
        return next((net for number, net in reversed(self._models.items()) if number < round), None)

    def report(self, event: Event) -> None:
        if isinstance(event, Predicted):
            kept = {number: net for number, net in self._models.items() if number == event.round - 1}
            self._models = kept | {event.round: getattr(event.classifier, "net", None)}
        self._report(event)


@dataclass(frozen=True)
class Cell:
    """One run: everything that decides its rows."""

    dataset: str
    method: Choice
    strategy: Choice
    settings: LoopSettings
    oracle: str = "ground-truth"
    seconds_per_label: float = 0.0  # what a person would need, for curves over time
    label: str = ""  # tells a strategy from the same one with other settings

    @cached_property
    def key(self) -> str:
        """The same for the same configuration in any process: 16 hexadecimal digits."""
        text = json.dumps(as_dict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """The columns by which rows are grouped."""
        learned, loop = as_dict(self.method.settings), self.settings
        marks = ("oracle" if STRATEGIES[self.strategy.name].is_oracle else "", self.label)
        marked = ", ".join(filter(None, marks))
        return {
            "cell": self.key, "dataset": self.dataset, "method": self.method.name,
            "preset": learned.get("preset", ""), "features": loop.features or learned.get("features", ""),
            "oracle": self.oracle, "query_size": 0 if loop.budgets else loop.query_size,
            "strategy": f"{self.strategy.name} ({marked})" if marked else self.strategy.name,
            "cold_start": loop.cold_start, "seed": loop.seed,
        }  # fmt: skip


def run_cell(
    cell: Cell, report: Callable[[Event], None] = lambda event: None, dataset: datasets.Dataset | None = None
) -> list[dict[str, Any]]:
    """Run the loop until the budget is spent; one row per round, plain JSON types.

    `select_seconds` of a row is what choosing its `asked` took: the first were chosen before any model. `dataset` is
    the cell's where it is loaded already: what was computed of its images is not computed again.
    Raises LearnerError when a round cannot be played, which in a simulation ends the run.
    """
    dataset = dataset or datasets.load(cell.dataset, cell.settings.seed)
    rows: list[dict[str, Any]] = []
    selection = _selection(cell, dataset)
    chosen_in = [0.0]  # seconds, of each query so far

    def listen(event: Event) -> None:
        if isinstance(event, RoundStarted) and not rows:
            chosen_in[-1] = time.perf_counter() - began
        if isinstance(event, RoundFinished):
            asked = id_array(project.asked[-1].ids)
            described = selection.add(dataset.train.positions(asked))
            spent = {"human_seconds": event.labels * cell.seconds_per_label}
            spent["select_seconds"] = chosen_in[-1]
            chosen_in.append(event.select_seconds)
            query = {"asked": asked.tolist(), "asked_note": project.asked[-1].note}
            rows.append(cell.describe() | _row(event) | spent | asdict(described) | query)
        report(event)

    exam = Exam(dataset.test, dataset.test_classes, "test")
    said = answers(cell.oracle, dataset.train_classes, len(dataset.classes), stream(cell.settings.seed, 0, "oracle"))
    project = MemoryProject(
        dataset.train, len(dataset.classes), truth=said, classes=dataset.train_classes, exam=exam, report=listen
    )
    began = time.perf_counter()
    advance(project, cell.method, cell.strategy, cell.settings)
    return rows


def _selection(cell: Cell, dataset: datasets.Dataset) -> Selection:
    """Nothing asked yet, among images as the strategies see them."""
    text = "" if cell.settings.features == PENULTIMATE else cell.settings.features
    embedding = embed(dataset.train, strategy_features(text, cell.method, dataset.train))
    return Selection(dataset.train_classes, len(dataset.classes), torch.from_numpy(embedding))


def _row(event: RoundFinished) -> dict[str, Any]:
    evaluation = event.evaluation
    if evaluation is None:
        raise ValueError("a simulated round has an exam")
    return {
        "round": event.round, "labels": event.labels, "accuracy": evaluation.accuracy,
        "balanced_accuracy": evaluation.balanced_accuracy, "macro_f1": evaluation.macro_f1,
        "labels_per_class": list(event.labels_per_class),
        "train_seconds": event.train_seconds, "predict_seconds": event.predict_seconds, "settings": event.settings,
    }  # fmt: skip
