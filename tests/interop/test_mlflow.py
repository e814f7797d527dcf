"""Runs in a real store of MLflow, read back with its own client."""

import json
import os
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner

from annotator.cli import main
from learner.acquisition import STRATEGIES
from learner.benchmark.track import track_mlflow
from learner.config import LoopSettings, PropagateSettings
from learner.errors import LearnerError
from learner.settings import Choice
from learner.simulate import Cell

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # SQLAlchemy's, of what MLflow asks of it
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CELL = Cell(
    "digits", Choice("propagate", PropagateSettings(components=32)),
    Choice("typiclust", STRATEGIES["typiclust"].settings()), LoopSettings(budgets=(10, 20), seed=7),
)  # fmt: skip
ROWS = [
    {"dataset": "digits", "seed": 7, "round": 1, "labels": 10, "accuracy": 0.5, "train_seconds": 2.0, "asked": [3]},
    {"dataset": "digits", "seed": 7, "round": 2, "labels": 20, "accuracy": 0.75, "train_seconds": 3.0, "asked": [4]},
]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runs.db'}"


def test_what_is_tracked_is_read_back_by_mlflow_itself(uri, tmp_path):
    (tmp_path / "curves.png").write_bytes(b"a picture")
    run = track_mlflow(uri, "few labels", CELL, ROWS, [tmp_path / "curves.png"])
    client = mlflow.MlflowClient(tracking_uri=uri)
    found = client.get_run(run)
    assert client.get_experiment(found.info.experiment_id).name == "few labels"
    assert found.info.status == "FINISHED"
    assert found.data.params["strategy"] == "typiclust"
    assert found.data.params["method.components"] == "32"
    assert found.data.params["loop.budgets"] == "(10, 20)"
    curve = client.get_metric_history(run, "accuracy")
    assert sorted((point.step, point.value) for point in curve) == [(10, 0.5), (20, 0.75)]
    assert found.data.metrics == {"round": 2, "accuracy": 0.75, "train_seconds": 3.0}
    copy = client.download_artifacts(run, "curves.png", str(tmp_path))
    assert Path(copy).read_bytes() == b"a picture"
    assert (tmp_path / "runs.artifacts").is_dir()


def test_cells_of_one_experiment_are_runs_beside_each_other(uri):
    for seed in (0, 1):
        track_mlflow(uri, "few labels", replace(CELL, settings=replace(CELL.settings, seed=seed)), ROWS, [])
    client = mlflow.MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("few labels").experiment_id])
    assert {run.data.params["loop.seed"] for run in runs} == {"0", "1"}


def test_simulate_tracks_every_cell_with_its_rows(uri, tmp_path):
    shape = ["--strategy", "random", "--strategy", "margin", "--seeds", "2", "--query-size", "10", "--budget", "20"]
    tracked = ["--track", "mlflow", "--track-uri", uri, "--out", str(tmp_path / "out"), "--quiet"]
    result = CliRunner().invoke(main, ["simulate", *shape, *tracked])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    client = mlflow.MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("annotator").experiment_id])
    found = {(run.data.params["strategy"], int(run.data.params["loop.seed"])): run.info.run_id for run in runs}
    assert sorted(found) == [("margin", 0), ("margin", 1), ("random", 0), ("random", 1)]
    for (strategy, seed), run in found.items():
        mine = [row for row in rows if (row["strategy"], row["seed"]) == (strategy, seed)]
        curve = sorted((point.step, point.value) for point in client.get_metric_history(run, "accuracy"))
        assert curve == [(row["labels"], row["accuracy"]) for row in mine]
        copy = Path(client.download_artifacts(run, "rows.jsonl", str(tmp_path)))
        kept = [json.loads(line) for line in copy.read_text().splitlines()]
        assert [row["asked"] for row in kept] == [row["asked"] for row in mine]


SMALL = ["simulate", "--seeds", "2", "--query-size", "10", "--budget", "20", "--quiet"]


def logged(uri: str) -> list[str]:
    """The seeds of the whole runs in the store."""
    client = mlflow.MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name("annotator")
    runs = client.search_runs([found.experiment_id], "attributes.status = 'FINISHED'") if found else []
    return sorted(run.data.params["loop.seed"] for run in runs)


def test_runs_that_were_finished_before_are_logged_once(uri, tmp_path):
    command = [*SMALL, "--out", str(tmp_path / "out")]
    tracked = [*command, "--track", "mlflow", "--track-uri", uri]
    for arguments, seeds in ((command, []), (tracked, ["0", "1"]), (tracked, ["0", "1"])):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert logged(uri) == seeds


def test_a_run_that_cannot_be_logged_stops_nothing_and_is_logged_by_the_next_command(uri, tmp_path, monkeypatch):
    command = [*SMALL, "--out", str(tmp_path / "out"), "--track", "mlflow", "--track-uri", uri]
    log_artifact = mlflow.MlflowClient.log_artifact

    def full(client, run, path):
        if client.get_run(run).data.params["loop.seed"] == "0":
            raise OSError("No space left on device")
        log_artifact(client, run, path)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_artifact", full)
        result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert "not logged: digits, propagate, pca, random, seed 0: MLflow at " in result.output
    assert "No space left on device" in result.output
    assert logged(uri) == ["1"]
    result = CliRunner().invoke(main, command)
    assert "not logged" not in result.output
    assert logged(uri) == ["0", "1"]


def test_a_store_that_cannot_be_used_is_named_before_anything_runs(tmp_path):
    command = [*SMALL, "--out", str(tmp_path / "out"), "--track", "mlflow", "--track-uri", "nonsense://x"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert result.output.startswith("Error: MLflow at 'nonsense://x': ")
    assert not (tmp_path / "out").exists()


def test_mlflow_tells_nobody(uri):
    track_mlflow(uri, "few labels", CELL, ROWS, [])
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "true"
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()


def test_a_store_that_cannot_be_used_is_named():
    with pytest.raises(LearnerError, match="MLflow at 'nonsense://x'"):
        track_mlflow("nonsense://x", "few labels", CELL, ROWS, [])
