"""A person in a store and the truth in memory: the same loop, the same rows."""

import pytest

from annotator.project import StoreProject
from annotator.store import db as store
from annotator.store import labels
from annotator.store import project as project_store
from learner.acquisition import STRATEGIES
from learner.config import LoopSettings, PropagateSettings
from learner.data import Exam, id_array
from learner.events import Predicted, RoundFinished
from learner.loop import advance
from learner.settings import Choice
from learner.simulate import MemoryProject


class Listening(StoreProject):
    """A store's project that keeps what its rounds report, with the exam of the simulation."""

    test: Exam

    def exam(self):
        return self.test

    def report(self, event):
        if isinstance(event, Predicted | RoundFinished):
            self.__dict__.setdefault("told", []).append(event)
        super().report(event)


def row(event: Predicted | RoundFinished) -> tuple:
    if isinstance(event, Predicted):
        return event.round, event.predictions.ids.tolist(), event.predictions.probs.tolist()
    return event.round, event.labels, event.labels_per_class, event.strategy, event.evaluation, event.note


@pytest.mark.parametrize(
    "strategy", ["typiclust", *(pytest.param(name, marks=pytest.mark.long) for name in ("random", "margin", "bald"))]
)
def test_a_person_who_always_is_right_gets_the_rows_of_a_simulation(make_instance, strategy):
    instance = make_instance()
    settings = LoopSettings(budgets=(6, 12, 18), cold_start="random", tail_size=0, full_query_only=True, seed=4)
    how = Choice("propagate", PropagateSettings()), Choice(strategy, STRATEGIES[strategy].settings()), settings
    db = store.connect(instance / store.FILE)
    classes = [row["id"] for row in project_store.classes(db)]
    names = {r["image_id"]: r["name"] for r in db.query("SELECT image_id, name FROM files")}
    truth = {image: int("dog" in name) for image, name in names.items()}
    person, asked = project_store.person_id(db, "ann"), []
    people = Listening(instance)
    said = id_array(truth[image] for image in people.images.ids.tolist())
    people.test = exam = Exam(people.images, said, "test")
    while (query := advance(people, *how).query).ids:
        asked.append(query)
        with store.write(db):
            for image in query.ids:
                answer = labels.Answer(f"u{image}", image, "label", person, classes[truth[image]])
                labels.add(db, answer, "tab", 0.0)
    events = []
    memory = MemoryProject(people.images, 2, truth=said, exam=exam, report=events.append)
    advance(memory, *how)
    told = [event for event in events if isinstance(event, Predicted | RoundFinished)]
    assert len(told) == 2 * 3
    assert [row(event) for event in people.told] == [row(event) for event in told]
    assert asked == [query for query in memory.asked if query.ids]
    db.close()
    people.db.close()
