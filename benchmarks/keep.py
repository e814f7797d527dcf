"""The rows of a simulation as a result: without the ids that were asked and the settings, which its study says.

    python benchmarks/keep.py RUN NAME

Reads RUN/results.jsonl and RUN/run.json, and writes results/NAME.json with the command that made them. A row is a list
in the order of `columns`; what a run of an older version does not have is null.
"""

import json
from pathlib import Path
from typing import Any

import click
from machine import RESULTS, bare

from learner.benchmark.run import ABOUT, of_last_command, read
from learner.benchmark.run import RESULTS as ROWS

KEPT = (
    "dataset", "method", "features", "strategy", "query_size", "seed", "labels", "accuracy", "balanced_accuracy",
    "classes_seen", "total_variation", "select_seconds", "preset", "oracle", "macro_f1", "coverage_radius",
)  # fmt: skip


def _short(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("name")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=RESULTS)
def main(run: Path, name: str, out: Path) -> None:
    about = json.loads((run / ABOUT).read_text())
    rows, _ = of_last_command(read(run / ROWS), about)
    about.pop("cell_keys", None)
    about["command"] = " ".join(map(bare, str(about.get("command", "")).split(" ")))
    for item in about.get("missing", ()):
        item["reason"] = item["reason"].replace(str(Path.home()), "~")
    where = {key: rows[0][key] for key in ("device", "versions")}
    where["revisions"] = sorted({row.get("revision", "") for row in rows} - {""})
    kept = [[_short(row.get(key)) for key in KEPT] for row in rows]
    lines = ",\n".join(json.dumps(row) for row in kept)
    head = json.dumps(about | where | {"columns": KEPT}, indent=1).removesuffix("\n}")
    (out / f"{name}.json").write_text(f'{head},\n "rows": [\n{lines}\n]\n}}\n')
    click.echo(out / f"{name}.json")


if __name__ == "__main__":
    main()
