"""What the options of `annotator simulate` ask: the cells of one method, with every strategy and seed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import product
from typing import Any

from learner import datasets, oracles
from learner.acquisition import STRATEGIES
from learner.benchmark.study import Study
from learner.config import LoopSettings
from learner.errors import BadSetting
from learner.registry import lookup
from learner.settings import Choice, resolve
from learner.simulate import Cell
from learner.training import METHODS


def choices(names: Iterable[str], values: dict[str, Any]) -> list[Choice]:
    """Each strategy once, with those of the values that it has a setting for. BadSetting for one that none has."""
    rows = {name: lookup("strategy", STRATEGIES, name) for name in names}
    known = {name: {field.name for field in fields(row.settings)} for name, row in rows.items()}
    unknown = [key for key in values if not any(key in has for has in known.values())]
    if unknown:
        every = sorted(set[str]().union(*known.values()))
        raise BadSetting(
            f"none of {', '.join(rows)} has a setting {unknown[0]!r}; together they have {', '.join(every) or 'none'}"
        )
    return [
        Choice(name, resolve(row.settings, {key: value for key, value in values.items() if key in known[name]}))
        for name, row in rows.items()
    ]


def asked(
    texts: Sequence[str],
    method: str,
    method_settings: Mapping[str, Any],
    strategies: Sequence[Choice],
    seeds: int,
    settings: LoopSettings,
    oracle: str = "ground-truth",
    seconds_per_label: float = 0.0,
) -> Study:
    """Every data set, seed and strategy. LearnerError for a name or a setting that does not exist."""
    for text in texts:
        datasets.parse(text)
    oracles.require(oracle)
    chosen = Choice(method, resolve(lookup("method", METHODS, method).settings, method_settings))
    cells = tuple(
        Cell(text, chosen, strategy, replace(settings, seed=seed), oracle, seconds_per_label)
        for text, seed, strategy in product(texts, range(seeds), strategies)
    )
    return Study(f"{', '.join(texts)}: {method}", cells)
