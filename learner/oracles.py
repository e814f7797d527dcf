"""ORACLES: who answers in a simulation. An oracle is `answer(classes, num_classes, argument, rng) -> (N,) classes`.

Every image has one answer for the whole run: a person who errs on an image would err on it again.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learner.data import IntArray
from learner.errors import BadSetting, UnknownName
from learner.registry import Row
from learner.settings import NoSettings


@dataclass(frozen=True)
class OracleRow(Row):
    argument: str = ""  # what follows the name and a colon


ORACLES: dict[str, OracleRow] = {
    "ground-truth": OracleRow("always right", NoSettings, "learner.oracles:ground_truth"),
    "noisy": OracleRow(
        "wrong at this rate, every other class alike; or as the rows of a confusion matrix in a CSV file say",
        NoSettings, "learner.oracles:noisy", argument="RATE or FILE.csv",
    ),
}  # fmt: skip


def answers(text: str, classes: IntArray, num_classes: int, rng: np.random.Generator) -> IntArray:
    """What the oracle of this name says of images of these classes: (N,) -> (N,). UnknownName, BadSetting."""
    row, argument = require(text)
    said: IntArray = row.load()(classes, num_classes, argument, rng)
    return said


def require(text: str) -> tuple[OracleRow, str]:
    """The oracle of this name and its argument. UnknownName lists those there are."""
    name, colon, argument = text.partition(":")
    row = ORACLES.get(name)
    if row is None or bool(row.argument) != bool(argument) or (colon and not argument):
        raise UnknownName(f"unknown oracle {text!r}; choose from {', '.join(forms())}")
    return row, argument


def path_of(text: str) -> Path | None:
    """The file that the name of an oracle gives; None where it gives none."""
    argument = require(text)[1]
    return None if not argument or _is_rate(argument) else Path(argument)


def _is_rate(argument: str) -> bool:
    try:
        float(argument)
    except ValueError:
        return False
    return True


def forms() -> list[str]:
    """How each oracle is written."""
    return [f"{name}:{row.argument.split()[0]}" if row.argument else name for name, row in ORACLES.items()]


def ground_truth(classes: IntArray, num_classes: int, argument: str, rng: np.random.Generator) -> IntArray:
    """The truth."""
    return classes


def noisy(classes: IntArray, num_classes: int, argument: str, rng: np.random.Generator) -> IntArray:
    """Drawn from the row of each image's class: see `confusion`."""
    heights = confusion(argument, num_classes).cumsum(axis=1)[classes]  # (N, C)
    drawn = rng.random(len(classes))[:, None] * heights[:, -1:]
    said: IntArray = (drawn >= heights).sum(axis=1).astype(np.int64)
    return said


def confusion(argument: str, num_classes: int) -> NDArray[np.float64]:
    """(C, C): how often each class (row) is said to be each class (column), rows adding up to one.

    A rate r from 0 to 1 is symmetric noise: 1 - r on the diagonal, the rest shared by all other classes. Anything else
    is a CSV file of C lines of C numbers, scaled line by line. BadSetting for anything else.
    """
    if not _is_rate(argument):
        return _read(Path(argument), num_classes)
    rate = float(argument)
    if not 0 <= rate <= 1:
        raise BadSetting(f"the rate of noisy is {argument}; it lies from 0 to 1")
    matrix = np.full((num_classes, num_classes), rate / (num_classes - 1))
    np.fill_diagonal(matrix, 1 - rate)
    return matrix


def _read(path: Path, num_classes: int) -> NDArray[np.float64]:
    """A confusion matrix of counts or shares."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            matrix = np.array([[float(cell) for cell in line] for line in csv.reader(file) if line])
    except OSError as error:
        raise BadSetting(f"noisy takes a rate or a CSV file; cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise BadSetting(f"{path} is no confusion matrix: numbers, as many in each line") from None
    if matrix.shape != (num_classes, num_classes):
        raise BadSetting(f"{path} is {matrix.shape}; a confusion matrix here is {num_classes} x {num_classes}")
    sums = matrix.sum(axis=1, keepdims=True)
    if not np.isfinite(matrix).all() or (matrix < 0).any() or (sums <= 0).any():
        raise BadSetting(f"{path} has a line that is no distribution: numbers of at least 0, not all of them 0")
    shares: NDArray[np.float64] = matrix / sums
    return shares
