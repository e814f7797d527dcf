"""The loop with the truth as the annotator: MemoryProject answers what is published, run_cell() is one seed's run."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
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
from learner.events import Event, Predicted, RoundFinished, RoundKept, RoundStarted
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
        saved: Callable[[LoopState], None] = lambda state: None,
    ) -> None:
        self.images, self.num_classes = images, num_classes
        self.asked: list[Query] = []  # every query that was published, in order
        self.tail = Query()
        self._truth = None if truth is None else dict(zip(images.ids.tolist(), truth.tolist(), strict=True))
        self._classes = truth if classes is None else classes
        self._exam, self._report, self._saved = exam, report, saved
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
        self._saved(state)

    def resume(self, states: Sequence[LoopState]) -> None:
        """Stand where the last of these was saved, everything that was asked before it answered again."""
        for state in states[:-1]:
            self.publish(state.query, "query", state.round)
        self._state = states[-1]

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
    content: str = ""  # digest of the files that it names; empty where it names none

    @cached_property
    def key(self) -> str:
        """The same for the same configuration in any process: 16 hexadecimal digits."""
        values = as_dict(self)
        if not self.content:
            del values["content"]  # as before there was any
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

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
        } | ({"content": self.content} if self.content else {})  # fmt: skip


def run_cell(
    cell: Cell,
    report: Callable[[Event], None] = lambda event: None,
    dataset: datasets.Dataset | None = None,
    kept: Sequence[RoundKept] = (),
) -> list[dict[str, Any]]:
    """Run the loop until the budget is spent; one row per round, plain JSON types.

    `select_seconds` of a row is what choosing its `asked` took: the first were chosen before any model. `dataset` is
    the cell's where it is loaded already: what was computed of its images is not computed again.
    `kept` is every RoundKept of an interrupted run of this cell: it goes on behind them, and ends the same.
    Raises LearnerError when a round cannot be played, which in a simulation ends the run.
    """
    dataset = dataset or datasets.load(cell.dataset, cell.settings.seed)
    kept = kept if can_go_on(cell) and any(item.row for item in kept) else ()
    exam = Exam(dataset.test, dataset.test_classes, "test")
    said = answers(cell.oracle, dataset.train_classes, len(dataset.classes), stream(cell.settings.seed, 0, "oracle"))
    record = _Record(cell, dataset, report, kept)
    project = MemoryProject(
        dataset.train, len(dataset.classes), truth=said, classes=dataset.train_classes, exam=exam,
        report=record.listen, saved=record.saved,
    )  # fmt: skip
    if kept:
        project.resume([item.state for item in kept])
    advance(project, cell.method, cell.strategy, cell.settings)
    return record.rows


def can_go_on(cell: Cell) -> bool:
    """May it begin behind its last round? Not where each round needs the net of the one before, which nobody keeps."""
    return not as_dict(cell.method.settings).get("warm_start", False)


class _Record:
    """The rows of a cell, out of what its loop reports, behind those that were kept."""

    def __init__(
        self, cell: Cell, dataset: datasets.Dataset, report: Callable[[Event], None], kept: Sequence[RoundKept]
    ) -> None:
        self._cell, self._images, self._report = cell, dataset.train, report
        self._keep_right = dataset.keep_right
        self.rows = [item.row for item in kept if item.row]
        self._selection = _selection(cell, dataset)
        for row in self.rows:
            self._selection.add(self._images.positions(id_array(row["asked"])))
        self._asked = kept[-1].state.query if kept else Query()
        self._chosen_in = kept[-1].select_seconds if kept else 0.0  # that query
        self._ended: RoundFinished | None = None  # told when its state is saved: whoever hears of it can go on from it
        self._began = time.perf_counter()

    def listen(self, event: Event) -> None:
        if isinstance(event, RoundStarted) and not self.rows:
            self._chosen_in = time.perf_counter() - self._began
        if isinstance(event, RoundFinished):
            self.rows.append(self._described(event))
            self._ended, self._chosen_in = event, event.select_seconds
        else:
            self._report(event)

    def saved(self, state: LoopState) -> None:
        self._asked = state.query
        ended, self._ended = self._ended, None
        if can_go_on(self._cell):
            self._report(RoundKept(state, self.rows[-1] if ended else None, self._chosen_in))
        if ended:
            self._report(ended)

    def _described(self, event: RoundFinished) -> dict[str, Any]:
        asked = id_array(self._asked.ids)
        described = self._selection.add(self._images.positions(asked))
        spent = {"human_seconds": event.labels * self._cell.seconds_per_label, "select_seconds": self._chosen_in}
        query = {"asked": asked.tolist(), "asked_note": self._asked.note}
        if self._keep_right and event.evaluation:
            query |= {"right": "".join(map(str, event.evaluation.right))}
        return self._cell.describe() | _row(event) | spent | asdict(described) | query


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
