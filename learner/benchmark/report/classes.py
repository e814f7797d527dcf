"""Which classes were asked about, and how good the features were: tables that explain the others."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from learner.benchmark.report.tables import Table
from learner.benchmark.summary import spelled
from learner.errors import LearnerError

Row = Mapping[str, Any]
SCORES = {
    "knn_euclidean": "kNN, euclidean", "knn_cosine": "kNN, cosine", "nmi": "NMI", "homogeneity": "homogeneity",
    "completeness": "completeness", "v_measure": "V-measure", "ari": "ARI", "ami": "AMI", "silhouette": "silhouette",
    "recognition": "altered images known again",
}  # fmt: skip


def class_table(rows: Sequence[Row]) -> Table:
    """Labels of each class at every budget, the mean over seeds, for each strategy."""
    groups: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        groups[str(row["strategy"]), int(row["labels"])].append(row)
    order = list(dict.fromkeys(name for name, _ in groups))
    lines = [
        (name, spelled(labels, bool(found[0].get("all"))), *_counted(found))
        for (name, labels), found in sorted(groups.items(), key=lambda group: (order.index(group[0][0]), group[0][1]))
    ]
    number = max(len(row["labels_per_class"]) for row in rows)
    columns = ("strategy", "labels", "classes", "total variation", *(f"class {index}" for index in range(number)))
    note = (
        "Mean labels of each class over seeds, as answered; how many classes have one; and the total variation between "
        "the classes of what was asked and those of all images. Where a set is thinned, each seed thins other classes."
    )
    return Table(
        "classes", "Labels of each class", columns, tuple(lines), note, tuple(_heat(line[4:]) for line in lines)
    )


def _heat(counts: Sequence[str]) -> tuple[float, ...]:
    """Each class beside the one with most labels."""
    values = [float(count) for count in counts]
    return tuple(value / max(*values, 1e-9) for value in values)


def _counted(rows: Sequence[Row]) -> tuple[str, ...]:
    counts = np.mean([row["labels_per_class"] for row in rows], axis=0)
    seen = np.mean([row.get("classes_seen", np.nan) for row in rows])
    variation = np.mean([row.get("total_variation", np.nan) for row in rows])
    return f"{seen:.1f}", f"{variation:.2f}", *(f"{count:.1f}" for count in counts)


def features_table(path: Path) -> Table:
    """What `annotator features` wrote into features.csv. LearnerError for a file that is none of its."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            lines, columns = list(reader), reader.fieldnames or ()
        shown = {key: title for key, title in SCORES.items() if key in columns}
        if "features" not in columns or not shown:
            raise ValueError("it has no columns features and " + " or ".join(SCORES))
        found = tuple((str(line["features"]), *(_score(line, key) for key in shown)) for line in lines)
    except (OSError, ValueError, csv.Error) as error:
        raise LearnerError(f"{path} is no features.csv of annotator features: {error}") from None
    note = f"From {path.name}, as annotator features measured them; kNN and known again in %. {_why(lines)}".strip()
    return Table("features", "Quality of the features", ("features", *shown.values()), found, note)


def _score(line: Mapping[str, str | None], key: str) -> str:
    """In percent what is a share of images."""
    if line.get(key) in (None, "", "not measured"):
        return "not measured"
    value = float(line[key] or "")
    return f"{100 * value:.1f}" if key.startswith(("knn", "recognition")) else f"{value:.3f}"


def _why(lines: Sequence[Mapping[str, str | None]]) -> str:
    return " ".join(f"{line['features']}: {line['not_measured']}." for line in lines if line.get("not_measured"))
