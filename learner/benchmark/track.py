"""Runs of a simulation in MLflow, where a team keeps its other experiments."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from learner.errors import LearnerError
from learner.settings import as_dict
from learner.simulate import Cell

LONGEST = 6000  # characters of a parameter that every store of MLflow keeps
TAG = "annotator.cell"  # of a run: the key of its cell
AT_ONCE = 100  # parameters in one request: more are refused


def track_mlflow(
    uri: str, experiment: str, cell: Cell, rows: Sequence[Mapping[str, Any]], artifacts: Iterable[Path]
) -> str:
    """One run: every setting as parameter, every number of a round as metric at step = labels. Returns its id.

    `uri`: http://HOST:PORT of a server, sqlite:///FILE of a store on this machine, whose files lie beside it; empty: as
    MLflow is set up.
    Raises LearnerError without MLflow, and where the store cannot be used.
    """
    mlflow = load_mlflow()
    try:
        client = mlflow.MlflowClient(tracking_uri=uri or None)
        where = _experiment(client, uri, experiment)
        run = client.create_run(where, run_name=_name(cell), tags={TAG: cell.key}).info.run_id
        _log(mlflow, client, run, cell, rows)
        for path in artifacts:
            client.log_artifact(run, str(path))
        client.set_terminated(run)
    except (mlflow.MlflowException, OSError) as error:
        raise _unusable(uri, error) from error
    return str(run)


def tracked(uri: str, experiment: str) -> set[str]:
    """The keys of the cells whose runs are whole. LearnerError as above."""
    mlflow = load_mlflow()
    try:
        client = mlflow.MlflowClient(tracking_uri=uri or None)
        where = _experiment(client, uri, experiment)
        return {run.data.tags[TAG] for run in _finished(client, where) if TAG in run.data.tags}
    except (mlflow.MlflowException, OSError) as error:
        raise _unusable(uri, error) from error


def _finished(client: Any, experiment: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment], "attributes.status = 'FINISHED'", page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _unusable(uri: str, error: Exception) -> LearnerError:
    return LearnerError(f"MLflow at {uri!r}: {str(error).partition(chr(10))[0]}")


def load_mlflow() -> Any:
    """MLflow, which will tell nobody that it is used."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # both are read when it is imported
    os.environ["DO_NOT_TRACK"] = "true"
    try:
        import mlflow
    except ImportError:
        raise LearnerError("mlflow is not installed: pip install 'annotator[mlflow]'") from None
    return mlflow


def _experiment(client: Any, uri: str, name: str) -> str:
    """The id of the experiment of this name, founded where there is none."""
    found = client.get_experiment_by_name(name)
    if found:
        return str(found.experiment_id)
    place = None
    if uri.startswith("sqlite:///"):  # else they would go to the folder from which one happens to run
        place = Path(uri.removeprefix("sqlite:///")).resolve().with_suffix(".artifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=place))


def _name(cell: Cell) -> str:
    return f"{cell.dataset} {cell.method.name} {cell.strategy.name} seed {cell.settings.seed}"


def _log(mlflow: Any, client: Any, run: str, cell: Cell, rows: Sequence[Mapping[str, Any]]) -> None:
    entities = mlflow.entities
    params = [entities.Param(key, str(value)[:LONGEST]) for key, value in parameters(cell).items()]
    for start in range(0, len(params), AT_ONCE):
        client.log_batch(run, params=params[start : start + AT_ONCE])
    for row in rows:
        metrics = [entities.Metric(key, value, 0, row["labels"]) for key, value in numbers(row)]
        client.log_batch(run, metrics=metrics)


def parameters(cell: Cell) -> dict[str, Any]:
    """What decides the rows, flat: dataset, method, strategy, and `method.steps`, `strategy.alpha`, `loop.seed` ..."""
    parts = {"method": cell.method.settings, "strategy": cell.strategy.settings, "loop": cell.settings}
    flat = {f"{part}.{key}": value for part, settings in parts.items() for key, value in as_dict(settings).items()}
    names = {"dataset": cell.dataset, "method": cell.method.name, "strategy": cell.strategy.name}
    return names | {"oracle": cell.oracle, "seconds_per_label": cell.seconds_per_label, "label": cell.label} | flat


def numbers(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The measurements of a row: every number that is not the seed or the step."""
    for key, value in row.items():
        if key not in ("seed", "labels") and isinstance(value, int | float):
            yield key, float(value)
