"""A head on frozen embeddings: against scikit-learn's logistic regression, in files, in the loop and in a project."""

import time

import numpy as np
import pytest
import torch
from live import answer_truly
from PIL import Image
from sklearn.linear_model import LogisticRegression

from annotator.larger import StoreOriginals
from annotator.pages import status
from annotator.project import StoreProject
from annotator.store import db as store
from annotator.store import project as project_store
from annotator.store import queue, rounds
from learner import checkpoint, datasets, features
from learner.acquisition import STRATEGIES
from learner.config import AutoSettings, FrozenSettings, LoopSettings, PropagateSettings
from learner.data import ImageSet, enlarged
from learner.errors import NoDropout, TooFewLabels, WeightsError
from learner.events import Progress
from learner.features import embed, parse
from learner.loop import advance
from learner.settings import Choice
from learner.simulate import MemoryProject
from learner.training import METHODS, Task, auto

BACKBONE = {"features": "timm:test_resnet@32", "weights": "random"}
TYPICLUST = Choice("typiclust", STRATEGIES["typiclust"].settings())
NOTHING: frozenset[str] = frozenset()


def digits_task(number: int = 40, **more: object) -> tuple[Task, datasets.Dataset]:
    digits = datasets.load("digits")
    images = digits.train.only(digits.train.ids[:200])
    labels = {int(i): int(c) for i, c in zip(images.ids[:number], digits.train_classes[:number], strict=True)}
    return Task(images, labels, 10, **more), digits


def train(task: Task, **values: object):
    return METHODS["frozen"].load()(task, FrozenSettings(**values))


def predict(classifier, images, needs=NOTHING):
    return classifier.predict(images, needs, np.random.default_rng(0), lambda event: None)


def test_without_dropout_it_is_logistic_regression():
    task, digits = digits_task()
    weight_decay = 0.02
    settings = {"dropout": 0, "weight_decay": weight_decay, "steps": 2000, "learning_rate": 0.05}
    found = predict(train(task, features="pca", **settings), task.images).probs
    x = embed(task.images, parse("pca")).astype(np.float64)
    x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0).mean())
    reference = LogisticRegression(C=1 / (40 * weight_decay), max_iter=2000, tol=1e-8)
    reference.fit(x[:40], digits.train_classes[:40])
    assert np.allclose(found.numpy()[:, reference.classes_], reference.predict_proba(x), atol=1e-4)


def test_the_seed_decides_everything():
    task, _ = digits_task()
    one, again = (predict(train(task, features="pca"), task.images).probs for _ in range(2))
    assert torch.equal(one, again)


def test_a_saved_model_says_the_same_of_new_images(tmp_path):
    task, digits = digits_task()
    classifier = train(task, **BACKBONE, hidden=16)
    some = digits.test.only(digits.test.ids[:20])
    classifier.save(tmp_path, list(digits.classes))
    loaded = checkpoint.load(tmp_path)
    assert loaded.image_size == (32, 32)
    pixels = np.stack([enlarged(image, 32) for image in some.take(some.ids)])
    assert torch.allclose(loaded.predict(pixels), predict(classifier, ImageSet.of(pixels)).probs, atol=5e-3)


def test_stochastic_predictions_surround_the_deterministic_ones():
    task, _ = digits_task()
    found = predict(train(task, features="pca", mc_samples=200), task.images, frozenset({"mc", "penultimate"}))
    assert (found.mean_probs - found.probs).abs().mean() < 0.05
    assert found.penultimate.shape == (200, 64)
    assert (torch.special.entr(found.mean_probs).sum(dim=1) - found.expected_entropy).min() > -1e-5


def test_what_cannot_be_trained_is_said():
    task, _ = digits_task()
    with pytest.raises(NoDropout, match="set dropout above 0"):
        train(Task(task.images, task.labels, 10, needs=frozenset({"mc"})), features="pca", dropout=0)
    with pytest.raises(TooFewLabels, match="all 1 are of class 3"):
        train(Task(task.images, {int(task.images.ids[0]): 3}, 10), features="pca")
    with pytest.raises(WeightsError, match="cannot read the weights /nowhere"):
        train(task, features="timm:test_resnet", weights="/nowhere")


@pytest.mark.long
def test_with_nothing_said_it_takes_the_net_at_hand(monkeypatch):
    from learner.models import weights

    monkeypatch.setattr(weights, "at_hand", lambda: "test_resnet")
    task, _ = digits_task()
    classifier = train(task, weights="random")
    assert classifier.extractor.about["name"] == "test_resnet"


@pytest.mark.parametrize("method", ["frozen", "propagate"])
def test_a_loop_shows_strategies_what_the_method_sees(method):
    """And the backbone looks at each image once."""
    task, digits = digits_task()
    events = []
    truth = digits.train_classes[:200]
    project = MemoryProject(task.images, 10, truth=truth, report=events.append)
    settings = {"frozen": FrozenSettings, "propagate": PropagateSettings}[method](**BACKBONE)
    loop = LoopSettings(query_size=15, budget=30, tail_size=5, full_query_only=True)
    advance(project, Choice(method, settings), TYPICLUST, loop)
    assert len(project.news(0).labels) == 30
    assert [key for key in task.images.memo if key.startswith("extractor")] == [
        f"extractor {parse(BACKBONE['features'], weights='random')}"
    ]
    assert Progress("embedding", 200, 200) in events


# ---- in a project


def name_of(project: StoreProject, image: int) -> str:
    name: str = project.db.execute("SELECT name FROM files WHERE image_id = ?", [image]).fetchone()[0]
    return name


def test_a_project_shows_a_backbone_its_files_and_not_its_small_pixels(make_instance, photos):
    project = StoreProject(make_instance())
    assert isinstance(project.images.originals, StoreOriginals)
    ids = project.images.ids
    pixels, whole = project.images.sized(ids[:2], 12)
    assert whole.all()
    expected = [np.array(Image.open(photos / name_of(project, image)).convert("RGB")) for image in ids[:2].tolist()]
    assert np.array_equal(pixels, np.stack(expected))


def test_auto_knows_how_large_the_files_are(make_instance, photos, monkeypatch):
    """And not only the small pixels that train: photographs are for a pretrained net, digits are not."""
    monkeypatch.setattr(features, "recognition", lambda images, text: float(text.startswith("timm:")))
    project = StoreProject(make_instance())
    assert project.images.native_side == 12
    assert auto.plan(project.images, AutoSettings(), False).strong.name == "basic"
    with store.write(project.db):
        project.db.execute("UPDATE images SET width = 4000, height = 3000 WHERE id > 10")
    assert project.images.native_side == 3000
    project.images.memo.clear()
    assert auto.plan(project.images, AutoSettings(), False).strong.name == "frozen"
    assert auto.plan(project.images, AutoSettings(), True).strong.name == "frozen"


def test_a_file_that_is_gone_is_replaced_by_its_kept_pixels(make_instance, photos):
    project = StoreProject(make_instance())
    ids = project.images.ids
    (photos / name_of(project, int(ids[0]))).unlink()
    pixels, whole = project.images.sized(ids[:3], 12)
    assert whole.tolist() == [False, True, True]
    assert pixels[0].mean() == pytest.approx(project.images.take(ids[:1]).mean(), abs=3)


def test_a_project_learns_on_a_backbone_and_keeps_its_embeddings(make_instance):
    instance = make_instance()
    project = StoreProject(instance)
    db = project.db
    frozen = Choice("frozen", FrozenSettings(**BACKBONE))
    loop = LoopSettings(query_size=10, new_labels=10)
    advance(project, frozen, TYPICLUST, loop)
    answer_truly(db, 10)
    advance(project, frozen, TYPICLUST, loop)
    assert rounds.latest_model(db)["method"] == "frozen"
    width = len(project.images.memo[f"embedding {parse(BACKBONE['features'], weights='random')}"][0])
    (kept,) = (instance / "features").iterdir()
    assert sum(path.stat().st_size for path in kept.glob("*.rows")) == 40 * (32 + 4 + 2 * width)
    loaded = checkpoint.load(instance / rounds.latest_model(db)["folder"])
    assert loaded.image_size == (32, 32)


def test_people_label_while_a_backbone_looks_at_the_images(make_instance):
    """The first time takes minutes: the page says how far it is, and random images are asked."""
    instance = make_instance()
    seen = []

    class Watched(StoreProject):
        def report(self, event) -> None:
            super().report(event)
            learner = status.learner(self.db, 0.0)
            if learner["activity"] == "embedding":
                with store.write(self.db):
                    person = project_store.person_id(self.db, "ann")
                    slots = queue.claim(self.db, f"tab {len(seen)}", person, 1, time.time())
                seen.append((learner["done"], learner["total"], slots[0]["strategy"]))

    project = Watched(instance)
    loop = LoopSettings(query_size=10, new_labels=10)
    advance(project, Choice("frozen", FrozenSettings(**BACKBONE)), TYPICLUST, loop)
    assert seen
    assert seen[0] == (0, 40, "random")
    assert not set(project.load_state().query.ids) - set(project.images.ids.tolist())
