"""StoreProject: the learner's view of a store. The only place where labels meet tensors."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from annotator import predictions, settings
from annotator.larger import StoreOriginals
from annotator.store import copy, labels, queue, rounds, second_looks
from annotator.store import db as store
from annotator.store import images as image_store
from annotator.store import project as project_store
from learner import checkpoint
from learner.data import Exam, ImageSet, IntArray, id_array
from learner.errors import LearnerError
from learner.events import Event, Predicted, Progress, Ranked, RoundFinished, RoundStarted
from learner.project import LoopState, News, Query

ROUNDS = "rounds"  # the folder of their folders
LEARNER = "learner"  # the folder of a training that is not finished


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
        self._classes = self._read_classes()
        self._round: _Round | None = None

    @property
    def folder(self) -> Path:
        return self.instance / LEARNER

    @property
    def num_classes(self) -> int:
        return len(self._classes)

    @property
    def class_names(self) -> list[str]:
        """In the order in which the learner numbers them, as of the last news."""
        return list(self._classes.values())

    def _read_classes(self) -> dict[int, str]:
        """Class id -> name by id. A round keeps those that it began with, whatever happens to them meanwhile."""
        return {row["id"]: row["name"] for row in sorted(project_store.classes(self.db), key=lambda row: row["id"])}

    @property
    def _columns(self) -> dict[int, int]:
        """Class id -> the learner's class index."""
        return {class_id: column for column, class_id in enumerate(self._classes)}

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
        pixels = np.empty((0, side, side, 3), np.uint8)
        if len(ids):
            whole = path.stat().st_size // (side * side * 3)  # rows
            pixels = np.memmap(path, np.uint8, "r", shape=(whole, side, side, 3))
        if len(ids) and rows.max() >= len(pixels):
            raise LearnerError(f"{path} has lost the pixels of some images; start the server again: it makes them anew")
        originals = StoreOriginals(self.db, lambda: self.instance / project_store.facts(self.db)["folder"])
        return ImageSet(
            ids, pixels, rows, flip=facts["flip"], originals=originals, cache=self.instance / project_store.FEATURES
        )

    def news(self, cursor: int) -> News:
        with store.snapshot(self.db):
            self._classes = self._read_classes()
            version = project_store.counter(self.db, "class set")
            newest = labels.cursor(self.db)
            changed = labels.changed_since(self.db, cursor) if newest > cursor else []
        columns = self._columns
        trained = {row["image_id"]: columns[row["class_id"]] for row in changed if row["status"] == "label"}
        withheld = frozenset(row["image_id"] for row in changed if row["status"] not in ("label", None))
        return News(newest, trained, withheld, len(changed), self._idle(), version)

    def _idle(self) -> float:
        latest = labels.latest_time(self.db)
        return self._now() - datetime.fromisoformat(latest).timestamp() if latest else 0.0

    def previous(self, round: int) -> Any:
        row = next((r for r in reversed(rounds.finished(self.db)) if r["folder"] and r["number"] < round), None)
        if row is None or predictions.classes(self.instance / row["folder"] / predictions.FILE) != [*self._classes]:
            return None  # its outputs mean other classes
        try:
            return checkpoint.load(self.instance / row["folder"]).net
        except LearnerError:
            return None  # it is gone or damaged: the round starts anew

    def exam(self) -> Exam | None:
        """The audit as far as it is labeled."""
        columns = self._columns
        answers = {image: columns[said] for image, said in labels.audit_labels(self.db) if said in columns}
        if not answers:
            return None
        ids, rows = self._rows(audit=True)
        known = np.isin(ids, id_array(answers))
        classes = id_array(answers[image] for image in ids[known].tolist())
        return Exam(self._open_images(ids[known], rows[known]), classes, "audit")

    def doubtable(self) -> frozenset[int]:
        is_wanted = settings.asking(self.db).second_look_share > 0
        return frozenset(second_looks.open_to_doubt(self.db)) if is_wanted else frozenset()

    def truth(self, ids: IntArray) -> IntArray:
        raise LearnerError(
            "the strategy needs the class of every image, which only annotator simulate knows; choose another one"
        )

    def load_state(self) -> LoopState | None:
        value = rounds.load_state(self.db)
        if value is None:
            return None
        query: dict[str, Any] = value.pop("query")
        query = {key: tuple(v) if isinstance(v, list) else v for key, v in query.items()}
        return LoopState(**value, query=Query(**query))

    def save_state(self, state: LoopState) -> None:
        """With the state, everything that its round leaves begins to count: in one transaction, or not at all."""
        old: list[str] = []
        with store.write(self.db):
            self._check()  # inside: whoever lost the lease while it hung writes nothing any more
            if self._round is not None:
                old = self._count(self._round)
            rounds.save_state(self.db, asdict(state))
            self._queue(state.query, "query", state.round)
        self._round = None
        for folder in old:  # the rows first: a folder that is only half there is never named
            shutil.rmtree(self.instance / folder, ignore_errors=True)

    def publish(self, query: Query, source: str, round: int) -> None:
        """The tail and the second looks of a round in progress wait for the round's end."""
        if self._round is not None and source != "query":
            self._round.published[source] = query
            return
        with store.write(self.db):
            self._queue(query, source, round)

    def _queue(self, query: Query, source: str, round: int) -> None:
        """Call inside `write`."""
        if source == "query" and self._is_published(round):
            return
        aside = image_store.unusable(self.db, query.ids)
        empty = (None,) * len(query.ids)
        rows = zip(query.ids, query.scores or empty, query.probabilities or empty, strict=True)
        keys = ("image_id", "score", "probability")
        picks = [dict(zip(keys, row, strict=True), round=round, strategy=query.strategy) for row in rows]
        publish = second_looks.publish if source == second_looks.SOURCE else queue.publish
        publish(self.db, [pick for pick in picks if pick["image_id"] not in aside], source, self._now())
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
                    rounds.tell(self.db, "learner", activity="training", done=0, total=0, error=None)
                self._round = _Round(event.round)
            case Ranked():
                with store.write(self.db):
                    self._queue(event.query, "tail", event.round)
            case Predicted():
                self._keep(event)
            case RoundFinished():
                self._finish(event)

    def _tell(self, **values: Any) -> None:
        with store.write(self.db):
            rounds.tell(self.db, "learner", **values)

    def _keep(self, event: Predicted) -> None:
        """Model and predictions on disk, under a name that nobody looks at until they are complete."""
        folder = self.instance / ROUNDS / str(event.round)
        part = folder.with_suffix(".part")
        _remove(part)
        part.mkdir(parents=True)
        event.classifier.save(part, self.class_names)
        said = event.predictions
        predictions.write(part / predictions.FILE, said.ids, said.probs.cpu().numpy(), [*self._classes])
        copy.sync(part)
        _remove(folder)  # of an attempt that was killed before its row
        part.rename(folder)
        copy.sync(folder.parent)
        copy.sync(self.instance)
        if self._round is not None:
            self._round.values["folder"] = f"{ROUNDS}/{event.round}"

    def _finish(self, event: RoundFinished) -> None:
        values: dict[str, Any] = {key: getattr(event, key) for key in ("method", "strategy", "labels")}
        values["settings"] = event.settings | ({"note": event.note} if event.note else {})
        values |= {key: getattr(event, key) for key in ("train_seconds", "predict_seconds", "select_seconds")}
        if event.evaluation is not None:
            keys = ("accuracy", "low", "high", "balanced_accuracy")
            values |= {key: getattr(event.evaluation, key) for key in keys}
            values |= {"exam": event.evaluation.source, "exam_size": event.evaluation.size}
        if self._round is not None:
            self._round.values |= values

    def _count(self, round: "_Round") -> list[str]:
        """The round is finished; returns the folders of old rounds, which nothing names any more. Inside `write`."""
        rounds.update(self.db, round.number, **round.values, finished=store.utc_now())
        rounds.tell(self.db, "learner", activity="ready", done=0, total=0, error=None)
        for source, query in round.published.items():
            self._queue(query, source, round.number)
        keep = max(1, int(project_store.facts(self.db).get("keep_rounds", project_store.KEEP_ROUNDS)))
        old = [r for r in rounds.finished(self.db) if r["folder"] and r["number"] <= round.number - keep]
        for row in old:
            rounds.update(self.db, row["number"], folder=None)
        return [row["folder"] for row in old]

    def give_up(self, reason: str, **told: Any) -> None:
        """End the round in progress, if there is one: the reason stays, whatever else it left goes."""
        given_up, self._round = self._round, None
        if given_up is not None:
            _remove(self.instance / ROUNDS / f"{given_up.number}.part")
        with store.write(self.db):
            if given_up is not None:
                rounds.give_up(self.db, given_up.number, reason)
            rounds.tell(self.db, "learner", done=0, total=0, **told)

    def tidy(self) -> None:
        """Remove what killed rounds left: folders that no row names. Only the owner of the lease may."""
        named = rounds.folders(self.db)
        for folder in (self.instance / ROUNDS).glob("[0-9]*"):
            if f"{ROUNDS}/{folder.name}" not in named and folder.name.removesuffix(".part").isdecimal():
                _remove(folder)


@dataclass
class _Round:
    """What the round in progress leaves. None of it counts before the round's end."""

    number: int
    values: dict[str, Any] = field(default_factory=dict)  # of its row
    published: dict[str, Query] = field(default_factory=dict)  # source -> what it puts into the queue


def _remove(folder: Path) -> None:
    """Whatever of it is there."""
    shutil.rmtree(folder, ignore_errors=True)
