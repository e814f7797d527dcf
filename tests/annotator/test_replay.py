"""`annotator replay`: the loop on a project's own labels, measured on its audit alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from annotator import create_app
from annotator.cli import main
from annotator.demo import CLASSES, IMAGE_SIZE, write_digits
from annotator.errors import AnnotatorError
from annotator.importing.folder import scan
from annotator.replaying import budgets, of_project, verdict
from annotator.serving import found
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
    assert "Measured on the 60 audit images" in result.output
    page = create_app(labeled).test_client().get("/progress").get_data(as_text=True)
    assert json.loads((labeled / "replay.json").read_text())["verdict"] in page.replace("&#39;", "'")


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


def outcome(tmp_path, gain):
    """Two strategies whose accuracies differ by `gain` in six seeds, but for a little noise."""
    rng = np.random.default_rng(0)
    rows = [
        {"dataset": "project:x", "method": "propagate", "strategy": name, "seed": seed, "labels": count,
         "accuracy": 0.7 + count / 1000 + rng.normal(0, 0.01) + (gain if name == "margin" else 0)}
        for name in ("random", "margin") for seed in range(6) for count in (20, 30)
    ]  # fmt: skip
    return Outcome(Study("t", ()), tmp_path, rows, [])


def test_the_verdict_may_be_that_random_would_have_been_as_good(tmp_path):
    assert verdict(outcome(tmp_path, 0.0), 60).startswith(
        "random would have been as good, as far as 6 seeds can tell. "
    )
    assert verdict(outcome(tmp_path, 0.1), 60).startswith("margin would have been better than random: +")
    assert "as far as 6 seeds can tell; worse than that: margin. " in verdict(outcome(tmp_path, -0.1), 60)
