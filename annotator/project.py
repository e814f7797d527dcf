"""StoreProject: the learner's view of a store. The only place where labels meet tensors."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from annotator import predictions
from annotator.store import db as store
from annotator.store import images as image_store
from annotator.store import labels, queue, rounds
from annotator.store import project as project_store
from learner.data import Exam, ImageSet, id_array
from learner.events import Event, Predicted, Progress, RoundFinished, RoundStarted
from learner.loop import LoopState, News, Query

KEEP_ROUNDS = 3  # whose models and predictions stay on disk


class StoreProject:
    """A project in an instance folder. `check` is called with every event and may raise Cancelled."""

    def __init__(
        self,
        instance: Path,
        check: Callable[[], None] = lambda: None,
        clock: Callable[[], float] | None = None,
    ):
        self.instance = instance
        self.db = store.connect(instance / store.FILE)
        self._check = check
        self._now = clock or (lambda: datetime.now(UTC).timestamp())
        self._images: ImageSet | None = None
        self._classes = project_store.class_positions(self.db)

    @property
    def num_classes(self) -> int:
        return len(self._classes)

    @property
    def images(self) -> ImageSet:
        """Everything that trains. The same object as long as nothing changed, so that embeddings stay."""
        ids, rows = self._rows(audit=False)
        if self._images is None or not np.array_equal(self._images.ids, ids):
            self._images = self._open_images(ids, rows)
        return self._images

    def _rows(self, audit: bool) -> tuple[np.ndarray, np.ndarray]:
        found = image_store.training_rows(self.db, audit=audit)
        return id_array(i for i, _ in found), id_array(row for _, row in found)

    def _open_images(self, ids: np.ndarray, rows: np.ndarray) -> ImageSet:
        facts = project_store.facts(self.db)
        side = facts["image_size"]
        path = image_store.pixel_file(self.instance, side)
        if len(ids):
            pixels = np.memmap(path, np.uint8, "r").reshape(-1, side, side, 3)
        else:
            pixels = np.empty((0, side, side, 3), np.uint8)
        return ImageSet(ids, pixels, rows, flip=facts["flip"])

    def news(self, cursor: int) -> News:
        self._classes = project_store.class_positions(self.db)
        with store.snapshot(self.db):
            newest = labels.cursor(self.db)
            changed = labels.changed_since(self.db, cursor) if newest > cursor else []
        trained = {row["image_id"]: self._classes[row["class_id"]] for row in changed if row["status"] == "label"}
        withheld = frozenset(row["image_id"] for row in changed if row["status"] not in ("label", None))
        return News(newest, trained, withheld, len(changed), self._idle())

    def _idle(self) -> float:
        latest = labels.latest_time(self.db)
        return self._now() - datetime.fromisoformat(latest).timestamp() if latest else 0.0

    def exam(self) -> Exam | None:
        """The audit as far as it is labeled."""
        answers = dict(labels.audit_labels(self.db))
        if not answers:
            return None
        ids, rows = self._rows(audit=True)
        known = np.isin(ids, id_array(answers))
        classes = id_array(self._classes[answers[image]] for image in ids[known].tolist())
        return Exam(self._open_images(ids[known], rows[known]), classes, "audit")

    def load_state(self) -> LoopState | None:
        value = rounds.load_state(self.db)
        if value is None:
            return None
        query: dict[str, Any] = value.pop("query")
        query = {key: tuple(v) if isinstance(v, list) else v for key, v in query.items()}
        return LoopState(**value, query=Query(**query))

    def save_state(self, state: LoopState) -> None:
        with store.write(self.db):
            rounds.save_state(self.db, asdict(state))

    def publish(self, query: Query, source: str, round: int) -> None:
        if source == "query" and self._is_published(round):
            return
        empty = (None,) * len(query.ids)
        rows = zip(query.ids, query.scores or empty, query.probabilities or empty, strict=True)
        keys = ("image_id", "score", "probability")
        picks = [dict(zip(keys, row, strict=True), round=round, strategy=query.strategy) for row in rows]
        with store.write(self.db):
            queue.publish(self.db, picks, source, self._now())
            if source == "query":
                project_store.set_counter(self.db, "queries", round + 1)

    def _is_published(self, round: int) -> bool:
        """A round has one query: asking again after a restart must not disturb what people have on their screens."""
        return project_store.counter(self.db, "queries") > round

    def report(self, event: Event) -> None:
        self._check()
        match event:
            case Progress():
                self._tell(activity=event.activity, done=event.done, total=event.total)
            case RoundStarted():
                with store.write(self.db):
                    rounds.start(self.db, event.round, event.labels)
                self._tell(activity="training", done=0, total=0, error=None)
            case Predicted():
                self._keep(event)
            case RoundFinished():
                self._finish(event)

    def _tell(self, **values: Any) -> None:
        with store.write(self.db):
            rounds.tell(self.db, "learner", **values)

    def _keep(self, event: Predicted) -> None:
        """Model and predictions on disk, then their row: a half-written folder is never named."""
        folder = self.instance / "rounds" / str(event.round)
        folder.mkdir(parents=True, exist_ok=True)
        classes = project_store.classes(self.db)
        event.classifier.save(folder, [row["name"] for row in classes][: self.num_classes])
        said = event.predictions
        class_ids = [row["id"] for row in classes][: self.num_classes]
        predictions.write(folder / predictions.FILE, said.ids, said.probs.cpu().numpy(), class_ids)
        with store.write(self.db):
            rounds.update(self.db, event.round, folder=f"rounds/{event.round}")
        self._forget(event.round - KEEP_ROUNDS)

    def _forget(self, number: int) -> None:
        """Remove the files of old rounds, the row first."""
        for row in rounds.finished(self.db):
            if row["folder"] and row["number"] <= number:
                with store.write(self.db):
                    rounds.update(self.db, row["number"], folder=None)
                shutil.rmtree(self.instance / row["folder"], ignore_errors=True)

    def _finish(self, event: RoundFinished) -> None:
        values: dict[str, Any] = {key: getattr(event, key) for key in ("method", "strategy", "labels")}
        values |= {key: getattr(event, key) for key in ("train_seconds", "predict_seconds", "select_seconds")}
        if event.evaluation is not None:
            keys = ("accuracy", "low", "high", "balanced_accuracy")
            values |= {key: getattr(event.evaluation, key) for key in keys}
            values |= {"exam": event.evaluation.source, "exam_size": event.evaluation.size}
        with store.write(self.db):
            rounds.update(self.db, event.round, **values, settings=event.settings, finished=store.utc_now())
            rounds.tell(self.db, "learner", activity="ready", done=0, total=0, error=None)
