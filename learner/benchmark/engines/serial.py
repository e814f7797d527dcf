"""One cell after the other, in this process."""

from collections.abc import Iterator, Sequence

from learner.benchmark.engines import Finished, Kept, Report, nothing
from learner.benchmark.engines.play import play
from learner.settings import NoSettings
from learner.simulate import Cell


def run(cells: Sequence[Cell], report: Report, settings: NoSettings, kept: Kept = nothing) -> Iterator[Finished]:
    """In the order given."""
    for index, cell in enumerate(cells):
        yield play(index, cell, report, kept(index))
