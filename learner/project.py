"""What the loop and a project say to each other. No labels lie here: the project's answers are the only truth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from learner.acquisition.candidates import Picks
from learner.data import Exam, ImageSet, IntArray
from learner.events import Event


@dataclass(frozen=True)
class News:
    """What people said, up to a cursor."""

    cursor: int
    labels: dict[int, int]  # image id -> class index; these train
    withheld: frozenset[int]  # answered without a class: skipped, unsure, flagged, in conflict
    changed: int  # images whose answer changed, undone ones included
    idle: float = 0.0  # seconds since the newest answer
    classes: int = 0  # another number after each change of the classes

    @property
    def answered(self) -> set[int]:
        return self.labels.keys() | self.withheld


@dataclass(frozen=True)
class Query:
    """The images asked in one round, with why; JSON-friendly."""

    ids: tuple[int, ...] = ()
    strategy: str = ""
    scores: tuple[float, ...] | None = None
    probabilities: tuple[float, ...] | None = None
    note: str = ""  # how they were found, where there is something to say

    @classmethod
    def of(cls, picks: Picks, strategy: str) -> "Query":
        def plain(values: Any) -> tuple[float, ...] | None:
            return None if values is None else tuple(values.tolist())

        return cls(tuple(picks.ids.tolist()), strategy, plain(picks.scores), plain(picks.probabilities), picks.note)


@dataclass(frozen=True)
class LoopState:
    """Where the loop stands. No labels: the project's answers are the only truth."""

    seed: int
    round: int = 0  # of the open query; 0: the cold start
    cursor: int = 0  # answers up to here are used
    query: Query = Query()
    classes: int = 0  # as in the news of this round


class Project(Protocol):
    """The learner's view of a project."""

    @property
    def images(self) -> ImageSet:
        """What may be asked and learned from: everything but the audit and what was set aside."""

    @property
    def num_classes(self) -> int: ...

    @property
    def folder(self) -> Path | None:
        """For what outlives a killed round, or None: nothing does."""

    def previous(self, round: int) -> Any:
        """The net of the newest model of the rounds before this one, or None."""

    def news(self, cursor: int) -> News:
        """Current answers of the images that changed since the cursor, and the new cursor; 0: all."""

    def exam(self) -> Exam | None:
        """Images with known classes that never train, or None while there are none."""

    def doubtable(self) -> frozenset[int]:
        """Images whose labels may be asked a second time; none: nobody judges labels."""

    def truth(self, ids: IntArray) -> IntArray:
        """(n,) -> (n,) the classes of images that nobody was asked about. LearnerError outside of simulations."""

    def load_state(self) -> LoopState | None: ...

    def save_state(self, state: LoopState) -> None:
        """Atomic, together with whatever else the round leaves: its row, its tail."""

    def publish(self, query: Query, source: str, round: int) -> None:
        """Put images into the queue. Source is query, tail, audit or second_look. Idempotent."""

    def report(self, event: Event) -> None:
        """Progress out; raises Cancelled when somebody asked to stop."""
