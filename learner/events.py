"""Progress out of the learner: frozen dataclasses given to `project.report`."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from learner.evaluate import Evaluation
    from learner.predict import Predictions
    from learner.project import LoopState, Query
    from learner.training import Classifier


@dataclass(frozen=True)
class RoundStarted:
    round: int
    labels: int  # how many it trains on


@dataclass(frozen=True)
class Progress:
    """What is being done now, and how much of it is done."""

    activity: str  # "training", "scoring", "choosing", "embedding"
    done: int
    total: int


@dataclass(frozen=True)
class Ranked:
    """What a classifier on the way would ask: for the queue, while the round goes on training."""

    round: int
    query: "Query"


@dataclass(frozen=True)
class Predicted:
    """What this round's model says of every image: suggestions, pages and exports live on it."""

    round: int
    classifier: "Classifier"
    predictions: "Predictions"


@dataclass(frozen=True)
class RoundFinished:
    """One row of a learning curve."""

    round: int
    method: str
    strategy: str  # that chooses the next query
    labels: int
    labels_per_class: tuple[int, ...]
    evaluation: "Evaluation | None"
    train_seconds: float
    predict_seconds: float
    select_seconds: float
    settings: dict[str, Any] = field(default_factory=dict)
    note: str = ""  # why it learned that way, where that was chosen; which classes have no label yet


@dataclass(frozen=True)
class RoundKept:
    """Where a simulated run stands; from all of these so far it goes on as if it had not been interrupted."""

    state: "LoopState"  # with the query that comes next
    row: dict[str, Any] | None = None  # of the round that ended; None: none could be trained yet
    select_seconds: float = 0.0  # what choosing that query took


Event = RoundStarted | Progress | Ranked | Predicted | RoundFinished | RoundKept
