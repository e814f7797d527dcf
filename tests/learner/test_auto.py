"""Which method auto takes: by the images, the machine, the labels and the audit, and never by a test set."""

import re
from dataclasses import replace

import numpy as np
import pytest

from learner import checkpoint, features
from learner.acquisition import STRATEGIES
from learner.acquisition import auto as schedule
from learner.config import AutoSettings, BasicSettings, FrozenSettings, LoopSettings, PropagateSettings
from learner.data import Exam, ImageSet
from learner.errors import TooFewLabels
from learner.events import RoundFinished
from learner.features import parse
from learner.loop import advance
from learner.models import weights
from learner.settings import Choice
from learner.simulate import MemoryProject
from learner.training import Task, auto

GOOD = Choice("propagate", PropagateSettings())
BAD = Choice("frozen", FrozenSettings(features="pca", learning_rate=0, steps=1))  # knows nothing
TWO = AutoSettings(labels_per_class=2)


def shades(number: int = 120, side: int = 8) -> tuple[ImageSet, np.ndarray]:
    classes = np.arange(number) % 3
    noise = np.random.default_rng(0).integers(0, 40, (number, side, side, 3))
    return ImageSet.of((noise + 90 * classes[:, None, None, None]).astype(np.uint8)), classes


def task(labels: int, audit: int = 0, source: str = "audit", **more) -> Task:
    images, classes = shades()
    ids = images.ids[len(images) - audit :]
    exam = Exam(images.only(ids), classes[ids], source) if audit else None
    rest = images.only(images.ids[: len(images) - audit])
    return Task(rest, {i: int(classes[i]) for i in range(labels)}, 3, exam=exam, **more)


def planned(monkeypatch, quick: Choice, strong: Choice) -> None:
    monkeypatch.setattr(auto, "plan", lambda *_: auto.Plan(quick, strong, "a test"))


@pytest.mark.parametrize(
    ("side", "gpu", "at_hand", "expected"),
    [
        (8, False, "net", ("propagate", "pca", "basic", "images of a few pixels")),
        (32, False, "", ("propagate", "pca", "basic", "no pretrained weights are at hand")),
        (32, False, "net", ("propagate", "timm:net", "frozen",
                            "altered images are known again in 90% by net, in 60% by their pixels")),
        (32, False, "bad", ("propagate", "pca", "basic",
                            "altered images are known again in 30% by bad, in 60% by their pixels")),
        (32, True, "net", ("propagate", "timm:net", "fixmatch", "small images and a graphics card")),
        (32, True, "", ("propagate", "pca", "fixmatch", "small images and a graphics card")),
        (96, True, "net", ("propagate", "timm:net", "frozen",
                           "altered images are known again in 90% by net, in 60% by their pixels")),
    ],
)  # fmt: skip
def test_images_and_machine_decide_between_whom(monkeypatch, side, gpu, at_hand, expected):
    monkeypatch.setattr(weights, "at_hand", lambda: at_hand)
    known = {"timm:net": 0.9, "timm:bad": 0.3, "pca": 0.6}
    monkeypatch.setattr(features, "recognition", lambda images, text: known[text])
    found = auto.plan(shades(6, side)[0], AutoSettings(), gpu)
    assert (found.quick.name, found.quick.settings.features, found.strong.name, found.why) == expected


def test_a_named_backbone_is_taken_whatever_is_at_hand(monkeypatch):
    monkeypatch.setattr(weights, "at_hand", lambda: "")
    found = auto.plan(shades(6)[0], AutoSettings(features="timm:test_resnet", weights="random"), False)
    assert (found.strong.settings.features, found.strong.settings.weights) == ("timm:test_resnet", "random")


def test_strategies_see_what_auto_sees(monkeypatch):
    images, classes = shades(60, 32)
    project = MemoryProject(images, 3, truth=classes)
    chosen = Choice("auto", AutoSettings(features="timm:test_resnet@32", weights="random"))
    strategy = Choice("typiclust", STRATEGIES["typiclust"].settings())
    advance(project, chosen, strategy, LoopSettings(query_size=6, budget=12, tail_size=0, full_query_only=True))
    kept = [key for key in images.memo if key.startswith("embedding")]
    assert kept == [f"embedding {parse('timm:test_resnet@32', weights='random')}"]


def test_with_few_labels_the_quick_one_answers(monkeypatch):
    planned(monkeypatch, GOOD, BAD)
    chosen = auto.train(task(5), TWO)
    assert (chosen.method, chosen.note) == ("propagate", "5 labels; from 6 on frozen is tried (a test)")


def test_without_an_audit_the_number_of_labels_decides(monkeypatch):
    planned(monkeypatch, GOOD, BAD)
    assert auto.train(task(6), TWO).method == "frozen"
    assert auto.train(task(6, audit=29), TWO).method == "frozen"


def test_the_audit_decides_where_there_is_one(monkeypatch):
    planned(monkeypatch, GOOD, BAD)
    for quick, strong in ((GOOD, BAD), (BAD, GOOD)):
        planned(monkeypatch, quick, strong)
        chosen = auto.train(task(6, audit=30), TWO)
        assert chosen.method == "propagate"
        assert re.fullmatch(r"30 of 30 audit images right, frozen \d+ \(a test\)", chosen.note)


def test_a_test_set_decides_nothing(monkeypatch):
    planned(monkeypatch, GOOD, BAD)
    assert auto.train(task(6, audit=60, source="test"), TWO).method == "frozen"


def test_people_go_on_with_the_quick_one_while_the_stronger_learns(monkeypatch):
    planned(monkeypatch, GOOD, BAD)
    ranked = []
    auto.train(task(6, rank=ranked.append), TWO)
    assert [type(classifier).__name__ for classifier in ranked] == ["GraphClassifier"]
    auto.train(task(5, rank=ranked.append), TWO)
    assert len(ranked) == 1


def test_the_winner_is_saved(monkeypatch, tmp_path):
    planned(monkeypatch, GOOD, BAD)
    auto.train(task(6), TWO).save(tmp_path, ["a", "b", "c"])
    assert checkpoint.load(tmp_path).classes == ["a", "b", "c"]


def test_one_class_is_too_few():
    with pytest.raises(TooFewLabels, match="all 1 are of class 0"):
        auto.train(task(1), TWO)


def played(strategy: Choice, budget: int) -> tuple[MemoryProject, list[RoundFinished]]:
    """A project of the method auto after so many labels, five at once, and its rounds."""
    images, classes = shades()
    events = []
    exam = Exam(images, classes, "test")
    project = MemoryProject(images, 3, truth=classes, exam=exam, report=events.append)
    settings = LoopSettings(query_size=5, budget=budget, tail_size=3, full_query_only=True, duplicates=1.0)
    advance(project, Choice("auto", TWO), strategy, settings)
    return project, [event for event in events if isinstance(event, RoundFinished)]


def test_a_round_says_who_learned_and_why(monkeypatch):
    planned(monkeypatch, GOOD, replace(GOOD, name="basic", settings=BasicSettings(steps=3)))
    _, rounds = played(Choice("margin"), 10)
    assert [(event.method, event.note.partition("; 1 of")[0]) for event in rounds] == [
        ("propagate", "5 labels; from 6 on basic is tried (a test)"),
        ("basic", "10 labels (a test)"),
    ]


def test_the_strategy_auto_asks_as_suits_the_method_that_won(monkeypatch):
    knowing = Choice("frozen", FrozenSettings(features="pca", steps=5))
    planned(monkeypatch, GOOD, knowing)
    monkeypatch.setitem(schedule.SCHEDULE, "frozen", ((0, "bait"),))
    project, rounds = played(Choice("auto"), 15)
    assert [(event.method, event.strategy) for event in rounds] == [
        ("propagate", "typiclust"), ("frozen", "bait"), ("frozen", "bait"),
    ]  # fmt: skip
    assert [query.strategy for query in project.asked if query.ids] == ["typiclust", "typiclust", "bait"]
    assert "auto: bait at 3.3 labels per class, method frozen" in rounds[1].note
