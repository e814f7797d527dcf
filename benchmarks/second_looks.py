"""Do second looks find wrong labels? Digits, a tenth of the answers wrong, what each round would ask again.

    python benchmarks/second_looks.py [--seeds 10] [--rate 0.1] [--strategy typiclust --strategy random]

Prints a Markdown table: of the labels that a round doubts, and of the first twenty it would ask, how many are wrong;
and how many of the wrong ones are doubted at all. Nothing is corrected on the way.
"""

import click
import numpy as np
import torch

from learner import datasets
from learner.acquisition import STRATEGIES
from learner.config import LoopSettings
from learner.loop import advance
from learner.oracles import answers
from learner.project import Query
from learner.rng import stream
from learner.settings import Choice, resolve
from learner.simulate import MemoryProject
from learner.training import METHODS

BUDGETS = (50, 100, 200, 400)
ASKED = 20


class Doubting(MemoryProject):
    """Every label may be doubted; what each round doubts is kept, and answered by nobody."""

    def doubtable(self) -> frozenset[int]:
        return frozenset(self.news(0).labels)

    def publish(self, query: Query, source: str, round: int) -> None:
        if source == "second_look":
            self.__dict__.setdefault("doubts", []).append((self.doubtable(), query.ids))
        super().publish(query, source, round)


def run(seed: int, rate: float, strategy: str) -> list[list[float]]:
    """Of each round: how many are doubted, share wrong of the first and of all of them, share of the wrong doubted."""
    data = datasets.load("digits", seed)
    said = answers(f"noisy:{rate}", data.train_classes, len(data.classes), stream(seed, 0, "oracle"))
    wrong = set(data.train.ids[said != data.train_classes].tolist())
    project = Doubting(data.train, len(data.classes), truth=said)
    settings = LoopSettings(budgets=BUDGETS, query_size=1000, tail_size=0, full_query_only=True, seed=seed)
    chosen = Choice(strategy, STRATEGIES[strategy].settings())
    advance(project, Choice("propagate", resolve(METHODS["propagate"].settings, {})), chosen, settings)
    return [shares(ids, wrong & labels) for labels, ids in project.doubts]


def shares(ids: tuple[int, ...], wrong: set[int]) -> list[float]:
    hits = np.isin(ids, list(wrong))
    return [
        len(ids),
        *(each.mean() if len(ids) else np.nan for each in (hits[:ASKED], hits)),
        hits.sum() / max(1, len(wrong)),
    ]


def shown(values: np.ndarray, factor: int = 100, unit: str = " %") -> str:
    values = values[~np.isnan(values)]
    return "–" if len(values) < 2 else f"{factor * np.mean(values):.0f} ± {factor * np.std(values, ddof=1):.0f}{unit}"


@click.command()
@click.option("--seeds", default=10)
@click.option("--rate", default=0.1)
@click.option("--strategy", "strategies", multiple=True, default=("typiclust", "random"))
def main(seeds: int, rate: float, strategies: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    print(f"| asked by | labels | doubted | wrong of the first {ASKED} | wrong of all doubted | doubted of the wrong |")
    print("|---|---|---|---|---|---|")
    for strategy in strategies:
        rows = np.array([run(seed, rate, strategy) for seed in range(seeds)])  # (seeds, rounds, 4)
        for labels, (count, *others) in zip(BUDGETS, rows.transpose(1, 2, 0), strict=True):
            print(f"| {strategy} | {labels} | {shown(count, 1, '')} | {' | '.join(map(shown, others))} |")


if __name__ == "__main__":
    main()
