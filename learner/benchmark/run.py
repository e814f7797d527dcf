"""A run: the folder in which the rows of cells come to lie. Only one process writes: the one that drives the engine.

`results.jsonl` has whole cells only, one row a round, each with the key of its cell and how many rows that has. So
whatever was interrupted is found out when the folder is opened, and finished cells are never computed again. How far a
cell under way has come lies in `rounds`, from where it goes on; no report reads that.
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from learner.errors import LearnerError
from learner.events import RoundKept
from learner.project import LoopState, Query
from learner.simulate import Cell

RESULTS, ABOUT, REST = "results.jsonl", "run.json", "results.rest.jsonl"
ROUNDS = "rounds"  # a folder with a file for each cell under way, gone when it is finished
Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """Rows of complete cells, each cell once; torn lines and the rest of their cells are left out."""
    cells: dict[str, dict[int, Row]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
            cells.setdefault(row["cell"], {})[row["round"]] = row
        except (ValueError, KeyError, TypeError):
            continue
    return [row for rows in cells.values() if _is_complete(list(rows.values())) for row in rows.values()]


def _is_complete(rows: Sequence[Row]) -> bool:
    return len(rows) == rows[0].get("rounds")


class Run:
    """The results in a folder, as they grow."""

    def __init__(self, folder: Path) -> None:
        """Opens or makes it. LearnerError where it cannot be written."""
        self.folder, self.path = folder, folder / RESULTS
        try:
            folder.mkdir(parents=True, exist_ok=True)
            rows = read(self.path)
            self._cells: dict[str, list[Row]] = {}
            for row in rows:
                self._cells.setdefault(row["cell"], []).append(row)
            self._old: dict[str, list[Row]] = {}  # finished cells that are computed again
            self._drop_rounds(self._cells)
            self._set_aside(rows)
            self._rewrite()
        except OSError as error:
            raise LearnerError(f"cannot write into {folder}: {error.strerror}; choose another with --out") from None

    def has(self, cell: Cell) -> bool:
        """Is it finished?"""
        return cell.key in self._cells

    def rows(self, cells: Iterable[Cell]) -> list[Row]:
        """Of those that are finished, in the order of the cells: the same whatever the engine."""
        every = self._old | self._cells
        return [row for cell in cells for row in every.get(cell.key, ())]

    def again(self, cells: Iterable[Cell]) -> None:
        """They will be computed once more; their rows stay on the disk until the new ones are there."""
        keys = [cell.key for cell in cells]
        self._old |= {key: self._cells.pop(key) for key in keys if key in self._cells}
        self._drop_rounds(keys)

    def had(self, cell: Cell) -> bool:
        """Are there rows from before, of a cell that is not finished again?"""
        return cell.key in self._old

    def keep(self, cell: Cell, item: RoundKept) -> None:
        """How far a cell has come that is not finished."""
        path = self._rounds(cell.key)
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(asdict(item)))  # in front: so that no torn line spoils the next one

    def kept(self, cell: Cell) -> list[RoundKept]:
        """The rounds from which it goes on, from the first on; a later line stands for what was there before."""
        path = self._rounds(cell.key)
        found: list[RoundKept] = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
            try:
                item = _restored(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            if item.state.round <= len(found):
                found[item.state.round :] = [item]
        return found

    def _rounds(self, key: str) -> Path:
        return self.folder / ROUNDS / f"{key}.jsonl"

    def _drop_rounds(self, keys: Iterable[str]) -> None:
        """Of cells that are finished, or start again."""
        for key in keys:
            self._rounds(key).unlink(missing_ok=True)
        with suppress(OSError):  # others are under way, or there were none
            (self.folder / ROUNDS).rmdir()

    def add(self, cell: Cell, rows: Sequence[Row]) -> None:
        """A whole cell; on the disk when this returns."""
        whole = [row | {"rounds": len(rows)} for row in rows]
        self._cells[cell.key] = whole
        if self._old.pop(cell.key, None):
            self._rewrite()
        else:
            self._append(whole)
        self._drop_rounds([cell.key])

    def _append(self, rows: Sequence[Row]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
            file.flush()
            os.fsync(file.fileno())

    def describe(self, values: Mapping[str, Any], missing: Collection[tuple[str, str]]) -> None:
        """What the rows are for: title, command ...; and what could not be measured, with the reason."""
        lacking = [{"cell": name, "reason": reason} for name, reason in missing]
        about = {**values, "created": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "missing": lacking}
        _replace(self.folder / ABOUT, json.dumps(about, indent=2) + "\n")

    def _set_aside(self, kept: Sequence[Row]) -> None:
        """Lines that are of no whole cell, of another version perhaps, move into a file of their own."""
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        lines = {json.dumps(row) for row in kept}
        rest = [line for line in text.splitlines() if line not in lines]
        if rest:
            with (self.folder / REST).open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in rest)

    def _rewrite(self) -> None:
        """Without what was torn or replaced."""
        every = self._old | self._cells
        text = "".join(json.dumps(row) + "\n" for rows in every.values() for row in rows)
        if not self.path.exists() or self.path.read_text(encoding="utf-8", errors="replace") != text:
            _replace(self.path, text)


def _restored(values: Row) -> RoundKept:
    """Out of what JSON made of it."""
    state: Row = values["state"]
    query: Row = {key: tuple(v) if isinstance(v, list) else v for key, v in state.pop("query").items()}
    return RoundKept(LoopState(**state, query=Query(**query)), values["row"], values["select_seconds"])


def _replace(path: Path, text: str) -> None:
    """All or nothing."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
