"""What `annotator features` measured, as a table of a report: good features make good selections."""

import csv
from collections.abc import Collection, Mapping
from pathlib import Path

from learner.benchmark.report.tables import Table
from learner.errors import LearnerError

SHARES = ("knn_euclidean", "knn_cosine", "recognition")  # in percent


def feature_table(path: Path, used: Collection[str]) -> Table:
    """The file as a table that says which features this run `used`. LearnerError for a file of another kind."""
    lines = _lines(path)
    columns = [name for name in lines[0] if name not in ("features", "not_measured") and not name.endswith("_std")]
    rows = tuple(
        (line["features"], "yes" if line["features"] in used else "", *(_cell(line, name) for name in columns))
        for line in lines
    )
    reasons = [f"{line['features']} was not measured: {line['not_measured']}." for line in lines if _reason(line)]
    note = " ".join(["kNN in % ± standard deviation over batches; recognition needs no label.", *reasons])
    titles = ("features", "in this run", *(name.replace("_", " ") for name in columns))
    return Table("features", "Quality of features", titles, rows, note)


def _lines(path: Path) -> list[dict[str, str]]:
    """The lines of the file, each with every column."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = [{str(key): value or "" for key, value in line.items()} for line in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LearnerError(f"cannot read {path}: {error}") from None
    if not lines or not {"features", "not_measured"} <= lines[0].keys():
        raise LearnerError(f"{path} is no table of features; write one with annotator features --out FOLDER")
    return lines


def _reason(line: Mapping[str, str]) -> str:
    return line["not_measured"]


def _cell(line: Mapping[str, str], name: str) -> str:
    """As it is read best; a text that is no number stays as it is."""
    try:
        value = float(line[name])
    except ValueError:
        return line[name] or "not measured"
    if name not in SHARES:
        return f"{value:.4g}"
    spread = line.get(f"{name}_std", "")
    return f"{100 * value:.1f}" + (f" ± {100 * float(spread):.1f}" if spread else "")
