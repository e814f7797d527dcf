"""Cells of a simulation, logged as they finish. What cannot be logged is noted, and stops nothing."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from learner.benchmark.run import Run
from learner.errors import LearnerError
from learner.simulate import Cell


class Tracker:
    """MLflow, where a simulation is tracked; else it does nothing."""

    def __init__(self, track: str, where: Mapping[str, str]) -> None:
        """LearnerError without MLflow, and where the store cannot be used: before anything is computed."""
        self.failed: list[tuple[Cell, str]] = []  # with the reason
        self._uri, self._experiment = where.get("uri", ""), where.get("experiment", "annotator")
        self._is_on = bool(track)
        if self._is_on:
            from learner.benchmark.track import tracked

            self._there = tracked(self._uri, self._experiment)

    def catch_up(self, run: Run, cells: Iterable[Cell]) -> None:
        """Those of the cells that were finished before, and that the store does not have."""
        for cell in cells if self._is_on else ():
            if run.has(cell) and cell.key not in self._there:
                self.add(cell, run.rows([cell]))

    def add(self, cell: Cell, rows: list[dict[str, Any]]) -> None:
        """A whole cell."""
        if not self._is_on:
            return
        from learner.benchmark.track import track_mlflow

        try:
            with TemporaryDirectory() as folder:
                path = Path(folder) / "rows.jsonl"
                path.write_text("".join(json.dumps(row) + "\n" for row in rows))
                track_mlflow(self._uri, self._experiment, cell, rows, (path,))
        except (LearnerError, OSError) as error:
            self.failed.append((cell, " ".join(str(error).split())))
