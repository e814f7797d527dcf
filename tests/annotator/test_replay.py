"""`annotator replay`: the loop on a project's own labels, measured on its audit alone."""

import json
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from annotator import create_app
from annotator.cli import main
from annotator.demo import CLASSES, IMAGE_SIZE, write_digits
from annotator.errors import AnnotatorError
from annotator.importing.folder import scan
from annotator.replaying import budgets, compared, of_project, on_images, study, verdict
from annotator.serving import found
from annotator.settings import learning
from annotator.simulating import Outcome
from annotator.store import db as store
from annotator.store import labels, project
from learner.benchmark.study import Study
from learner.datasets.embedded import digits_images


def say(instance: Path, wanted: dict[bool, int]) -> None:
    """The true class of so many images: of the audit (True) and of the others (False)."""
    db = store.connect(instance / store.FILE)
    classes = {row["name"]: row["id"] for row in project.classes(db)}
    rows = list(
        db.query("SELECT image_id, name, audit FROM files JOIN images ON images.id = image_id ORDER BY image_id")
    )
    truth = digits_images()[1].tolist()
    with store.write(db):
        person = project.person_id(db, "ann")
        for audit, number in wanted.items():
            for row in [row for row in rows if bool(row["audit"]) == audit][:number]:
                true = classes[CLASSES[truth[int(Path(row["name"]).stem.split("-")[1])]]]
                image = row["image_id"]
                labels.add(db, labels.Answer(f"u{image}", image, "label", person, true), "tab", 0.0)
    db.close()


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """The demo's project, imported."""
    instance = tmp_path_factory.mktemp("replay") / "instance"
    folder = instance / "digits"
    facts = {"audit_share": 0.1, "image_size": IMAGE_SIZE, "flip": False, "seed": 1, "learning": {}}
    found(instance, "digits", folder, CLASSES, facts)
    write_digits(folder)
    scan(instance, lambda done, total: None, lambda: False)
    return instance


@pytest.fixture
def labeled(digits, tmp_path):
    instance = shutil.copytree(digits, tmp_path / "instance")
    say(instance, {False: 300, True: 60})
    return instance


@pytest.mark.long
def test_a_replay_compares_on_the_audit_and_the_progress_page_says_so(labeled):
    arguments = ["replay", "--instance", str(labeled), "--quiet", "--seeds", "3", "--strategy", "random", "--strategy"]
    result = CliRunner().invoke(main, [*arguments, "typiclust"])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (labeled / "replay" / "results.jsonl").read_text().splitlines()]
    assert {row["labels"] for row in rows} == {20, 30, 45, 68, 102}
    assert all((row["accuracy"] * 60) % 1 == pytest.approx(0, abs=1e-6) for row in rows)  # shares of sixty images
    assert all(row["right"].count("1") == round(row["accuracy"] * 60) for row in rows)
    assert {len(row["right"]) for row in rows} == {60}
    assert "Measured on the 60 audit images" in result.output
    page = create_app(labeled).test_client().get("/progress").get_data(as_text=True)
    assert json.loads((labeled / "replay.json").read_text())["verdict"] in page.replace("&#39;", "'")


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, ["random", "margin", "badge", "auto"]),
        ({"strategy": "typiclust", "strategy_settings": {"neighbors": 7}},
         ["random", "auto", "margin", "badge", "typiclust"]),
    ],
)  # fmt: skip
def test_the_projects_own_strategy_is_among_those_that_are_compared(labeled, own, expected):
    db = store.connect(labeled / store.FILE)
    with store.write(db):
        project.put(db, learning=own)
    plan = study(labeled, of_project(labeled), (), 2)
    assert [cell.strategy.name for cell in plan.cells] == 2 * expected
    assert plan.cells[-1].strategy == learning(own).strategy
    chosen = study(labeled, of_project(labeled), ("random", "coreset"), 1)
    assert [cell.strategy.name for cell in chosen.cells] == ["random", "coreset"]


def test_a_replay_asks_only_what_was_labeled_and_never_the_audit(labeled):
    dataset = of_project(labeled)
    db = store.connect(labeled / store.FILE)
    audit = {row["id"] for row in db.query("SELECT id FROM images WHERE audit")}
    trained = {row["image_id"] for row in db.query("SELECT DISTINCT image_id FROM labels")} - audit
    assert set(dataset.train.ids.tolist()) == trained
    assert set(dataset.test.ids.tolist()) <= audit
    assert len(dataset.test) == 60


def test_a_net_that_cannot_be_had_is_said_before_the_first_cell(labeled):
    db = store.connect(labeled / store.FILE)
    with store.write(db):
        project.put(db, learning={"method": "frozen", "method_settings": {"features": "timm:no_such_net"}})
    result = CliRunner().invoke(main, ["replay", "--instance", str(labeled), "--quiet"])
    assert result.exit_code == 1
    assert "no_such_net" in result.output
    assert not (labeled / "replay" / "results.jsonl").exists()


def test_new_labels_make_another_replay(labeled):
    before = of_project(labeled).name
    assert of_project(labeled).name == before
    say(labeled, {False: 301, True: 0})
    assert of_project(labeled).name != before


@pytest.mark.parametrize(
    ("wanted", "said"),
    [({False: 100, True: 60}, "needs 200 labels, and .* has 160"), ({False: 300, True: 29}, "of which 29 .* needs 30")],
)
def test_too_few_labels_are_refused_with_the_reason(digits, tmp_path, wanted, said):
    instance = shutil.copytree(digits, tmp_path / "instance")
    say(instance, wanted)
    with pytest.raises(AnnotatorError, match=said):
        of_project(instance)


def test_budgets_grow_by_half_up_to_half_of_the_labels():
    assert budgets(170) == (20, 30, 45, 68)
    assert budgets(10) == (20,)


IMAGES = 400  # of the audit


def outcome(tmp_path, gain, images=IMAGES, shared=0.0):
    """Two strategies, six seeds: margin is right more often by `gain`, and on the first images by `shared` always."""
    rng = np.random.default_rng(0)
    easy = rng.random(images)  # an image is easy or hard for all alike
    rows = []
    for name, seed, count in product(("random", "margin"), range(6), (20, 30)):
        chance = 0.2 + 0.6 * easy + count / 1000 + (gain if name == "margin" else 0)
        right = rng.random(images) < chance
        right[: round(shared * images)] = name == "margin"
        rows.append({
            "dataset": "project:x", "method": "propagate", "strategy": name, "seed": seed, "labels": count,
            "accuracy": float(right.mean()), "right": "".join(map(str, right.astype(int))),
        })  # fmt: skip
    return Outcome(Study("t", ()), tmp_path, rows, [])


def test_the_verdict_may_be_that_random_would_have_been_as_good(tmp_path):
    said = verdict(outcome(tmp_path, 0.0), IMAGES)
    assert said.startswith("random would have been as good, as far as 6 seeds and 400 images can tell. ")
    assert verdict(outcome(tmp_path, 0.1), IMAGES).startswith("margin would have been better than random: +")
    assert "400 images can tell; worse than that: margin. " in verdict(outcome(tmp_path, -0.1), IMAGES)
    assert verdict(replace(outcome(tmp_path, 0.1), rows=[]), IMAGES) == "nothing was compared."


def test_a_difference_that_every_seed_has_and_few_images_is_not_called_one(tmp_path):
    """Two images of sixty make every seed better: on another audit they may not be there."""
    found = outcome(tmp_path, 0.0, images=60, shared=2 / 60)
    for row in found.rows:
        row["right"] = row["right"][:2] + "01" * 29
        row["accuracy"] = row["right"].count("1") / 60 + row["seed"] * 1e-6 * (row["strategy"] == "margin")
    (both,) = compared(found)
    assert both.seeds.p_holm < 0.001
    assert verdict(found, 60).startswith("random would have been as good, as far as 6 seeds and 60 images can tell. ")


def test_the_interval_over_images_is_that_of_paired_differences(tmp_path):
    found = outcome(tmp_path, 0.1)
    right = {
        name: np.mean([list(map(int, row["right"])) for row in found.rows if row["strategy"] == name], axis=0)
        for name in ("random", "margin")
    }  # over seeds and both budgets: the mean height of the curve
    truth = stats.ttest_rel(right["margin"], right["random"])
    item = next(item for item in on_images(found.rows, "random") if item.labels is None)
    interval = truth.confidence_interval(0.95)
    assert (item.n, item.p_t) == (IMAGES, pytest.approx(truth.pvalue))
    assert (item.low, item.high) == pytest.approx((interval.low, interval.high))
    (both,) = compared(found)
    assert both.images.mean == pytest.approx(both.seeds.mean)  # the same difference, seen twice
    low, high = 100 * interval.low, 100 * interval.high
    said = verdict(found, IMAGES)
    assert f"{low:+.1f} to {high:+.1f} over the images)" in said
    assert f"may be up to {(high - low) / 2:.1f} points larger or smaller." in said


def test_a_budget_that_not_every_seed_reached_counts_for_neither(tmp_path):
    found = outcome(tmp_path, 0.1)
    rows = [row for row in found.rows if (row["strategy"], row["seed"], row["labels"]) != ("margin", 3, 20)]
    (both,) = compared(replace(found, rows=rows))
    assert both.images.mean == pytest.approx(both.seeds.mean)
