"""Seconds and extra memory of strategies against other libraries, as ratios in one run; and how strategies grow.

    python benchmarks/acquisition.py [--images 50000] [--only NAME ...] [--clones FOLDER] [--growth] [--longest 900]

Made data, fixed seeds. Each measurement has a process of its own, at most 16 GB, and a small run before it. Extra is
the peak beyond what the process held before, the inputs included: the (N, C, T) probabilities that others need do not
count. --growth times every strategy at 0.2, 1, 4 and 20 times as many images instead, where no size is expected to take
more than --longest seconds; --only then names strategies. --repeats: processes a row, whose median counts.
Writes results/acquisition.json or acquisition-growth.json; with --only the names follow.
"""

import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import peers
import torch
from machine import save
from synthetic import RADIUS, away, embedding, inertia, logits, probabilities, top
from torch import Tensor

from learner.acquisition import STRATEGIES, for_people
from learner.acquisition.badge import gradients, spread_out
from learner.acquisition.batch_bald import batch_bald
from learner.acquisition.bayesian import bald
from learner.acquisition.candidates import Candidates, Side
from learner.acquisition.clustering import cluster
from learner.acquisition.coreset import farthest_first
from learner.acquisition.distances import nearest_squared
from learner.acquisition.probcover import select_probcover
from learner.acquisition.settings import BatchBaldSettings, ProbcoverSettings, TypiclustSettings
from learner.acquisition.typiclust import select_typiclust
from learner.predict import moments

OURS = "ours"
MEMORY = 16 << 30  # bytes that a process may ask for
WARM = 50  # images of the run before
Setup = Callable[[int], tuple[Callable[[], Any], Callable[[Any], Any]]]  # images -> what is timed, its answer


def unlabeled(x: np.ndarray) -> Candidates:
    """A pool of (N, D) without any label."""
    rows = torch.from_numpy(x)
    return Candidates(Side(np.arange(len(x)), embedding=rows), Side(np.arange(0), embedding=rows[:0]), 10)


def bald_ours(n: int, classes: int) -> Any:
    given = logits(n, 50, classes)  # (T, n, C)
    return lambda: torch.cat([bald(**moments(part)) for part in given.split(2048, dim=1)]), top


def joint_ours(n: int) -> Any:
    given, settings = torch.from_numpy(probabilities(n, 20, 10)).transpose(1, 2).contiguous(), BatchBaldSettings()
    return lambda: batch_bald(given, 10, settings.configurations, np.random.default_rng(0))[0], list


def centers_ours(n: int, picks: int) -> Any:
    """All k-center runs start at the first image and end at a radius."""
    x = embedding(n, 512)

    def run() -> list[int]:
        rows = torch.from_numpy(x)
        nearest = nearest_squared(rows, rows[:1])
        nearest[0] = -1
        return farthest_first(rows, nearest, min(picks, n // 2))[0]

    return run, lambda rows: float(away(x, [0, *rows]).max())


def clusters_ours(n: int) -> Any:
    x = embedding(n, 384)
    return lambda: cluster(x, min(1000, n // 2), np.random.default_rng(0)), lambda found: inertia(x, *found)


def typical_ours(n: int) -> Any:
    x, size = embedding(n, 384), min(100, n // 20)
    run = lambda: select_typiclust(unlabeled(x), size, np.random.default_rng(0), TypiclustSettings()).ids  # noqa: E731
    return run, lambda rows: float(away(x, rows).mean())


def spread(n: int, explicit: bool) -> Any:
    """The same draws over two factors, or over the whole (n, C H) gradients."""
    given = torch.Generator().manual_seed(0)
    probs = (3 * torch.randn(n, 100, generator=given)).softmax(dim=1)
    features = torch.randn(n, 512, generator=given).relu()

    def run() -> list[int]:
        left, right = gradients(probs, features)
        if explicit:
            left, right = (left[:, :, None] * right[:, None, :]).flatten(1), torch.ones(n, 1)
        return spread_out(left, right, 100, np.random.default_rng(0))[0]

    return run, list


def cover_ours(n: int) -> Any:
    x, settings = embedding(n, 384), ProbcoverSettings(radius=RADIUS)
    run = lambda: select_probcover(unlabeled(x), min(100, n // 2), np.random.default_rng(0), settings).ids  # noqa: E731
    return run, lambda rows: float((away(x, rows) <= RADIUS).float().mean())


@dataclass(frozen=True)
class Task:
    title: str
    answer: str  # what the answers are: picks, or a number
    ways: dict[str, Setup]  # ours first
    part: int = 1  # one in so many images


def _bald(classes: int) -> Task:
    ways = {OURS: lambda n: bald_ours(n, classes), "baal": lambda n: peers.bald_baal(n, classes)}
    return Task(f"BALD, T = 50, C = {classes}", "top", ways)


def _batch_bald(part: int) -> Task:
    ways = {OURS: joint_ours, "baal": peers.joint_baal, "batchbald_redux": peers.joint_redux}
    return Task("BatchBALD, T = 20, C = 10, 10 picks", "picks", ways, part)


def _badge(part: int) -> Task:
    ways: dict[str, Setup] = {OURS: lambda n: spread(n, False), "whole gradients": lambda n: spread(n, True)}
    return Task("BADGE, C = 100, H = 512, 100 picks", "picks", ways, part)


def _coreset(picks: int) -> Task:
    ways = {
        OURS: centers_ours,
        "scikit-activeml": peers.centers_activeml,
        "deep-active-learning": peers.centers_matrix,
        "TypiClust's repository": peers.centers_official,
        "one product a pick": peers.centers_plain,
    }
    bound = {way: lambda n, setup=setup: setup(n, picks) for way, setup in ways.items()}
    return Task(f"coreset, d = 512, {picks:,} picks", "radius", bound)


TASKS = {
    "bald": [_bald(10), _bald(100)],
    "batch_bald": [_batch_bald(25), _batch_bald(1)],
    "coreset": [_coreset(1000), _coreset(3000)],
    "kmeans": [Task("k-means, d = 384, k = 1,000", "inertia",
                    {OURS: clusters_ours, "scikit-learn, k-means++": peers.clusters_sklearn})],
    "typiclust": [Task("TypiClust, d = 384, 100 picks", "mean distance",
                       {OURS: typical_ours, "scikit-activeml": peers.typical_activeml,
                        "its authors": peers.typical_official})],
    "badge": [_badge(10), _badge(1)],
    "probcover": [Task("ProbCover, d = 384, 100 picks", "covered",
                       {OURS: cover_ours, "scikit-activeml": peers.cover_activeml,
                        "its authors": peers.cover_official})],
}  # fmt: skip
QUANTITIES: dict[str, Callable[[int], Tensor]] = {
    "probs": lambda n: (2 * torch.randn(n, 10)).softmax(dim=1),
    "mean_probs": lambda n: torch.randn(n, 10).softmax(dim=1),
    "expected_entropy": lambda n: torch.rand(n),
    "votes": lambda n: torch.randn(n, 10).softmax(dim=1),
    "std": lambda n: torch.rand(n, 10) / 2,
    "embedding": lambda n: torch.from_numpy(embedding(n, 384)),
    "penultimate": lambda n: torch.randn(n, 128).relu(),
}


def strategy(name: str) -> Setup:
    """100 picks beside 100 labels of ten classes; T = 20. Only what the strategy needs is made."""
    row = STRATEGIES[name]
    needs = row.needs | ({"mean_probs", "expected_entropy"} if "mc" in row.needs else set())

    def setup(n: int) -> Any:
        made = {key: make(n + 100) for key, make in QUANTITIES.items() if key in needs}
        pool = Side(np.arange(n), **{key: value[:n] for key, value in made.items()})
        labeled = Side(np.arange(n, n + 100), **{key: value[n:] for key, value in made.items()},
                       classes=np.arange(100) % 10)  # fmt: skip
        head = torch.randn(10, 128), torch.zeros(10)
        given = Candidates(pool, labeled, 10, head, lambda ids: torch.randn(len(ids), 20, 10).softmax(dim=2))
        return lambda: row.load()(given, min(100, n // 2), np.random.default_rng(0), row.settings()), lambda picks: None

    return setup


def peak() -> int:
    """MB that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def timed(setup: Setup, n: int) -> dict[str, Any]:
    """Seconds (the median of up to five runs while they are short), extra MB and the answer; or why there are none."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    try:
        torch.manual_seed(0)
        setup(min(n, WARM))[0]()
        run, judge = setup(n)
        return _timed(run, judge)
    except ModuleNotFoundError as error:
        if not peers.can_be_missing(str(error.name)):
            raise
        return {"why": "not installed"}
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        return {"why": "above 16 GB"}


def _timed(run: Callable[[], Any], judge: Callable[[Any], Any]) -> dict[str, Any]:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # else making the data would hide the peak of using it
    before, seconds = peak(), []
    while len(seconds) < 5 and sum(seconds) < 1:
        start = time.perf_counter()
        answer = run()
        seconds.append(time.perf_counter() - start)
    extra = peak() - before
    return {"seconds": median(seconds), "extra_mb": extra, "answer": judge(answer)}


def measured(name: str, number: int, way: str, images: int) -> dict[str, Any]:
    task = TASKS[name][number]
    return timed(task.ways[way], max(2, images // task.part))


def grown(name: str, n: int) -> dict[str, Any]:
    return timed(strategy(name), n)


def alone(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What the function finds in a new process."""
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(function, *arguments).result()
    except BrokenProcessPool:
        return {"why": "killed"}


def compared(name: str, number: int, images: int, repeats: int) -> list[dict[str, Any]]:
    """A row for each way of a task; in turns, because what slows the machine slows all."""
    task = TASKS[name][number]
    turns = [[alone(measured, name, number, way, images) for way in task.ways] for _ in range(repeats)]
    rows = []
    for way, runs in zip(task.ways, zip(*turns, strict=True), strict=True):
        row = {"task": task.title, "images": max(2, images // task.part), "by": way, **runs[0]}
        if not any("why" in run for run in runs):
            row |= {key: median(run[key] for run in runs) for key in ("seconds", "extra_mb")}
            row["answer"] = _answer(task, runs[0]["answer"], turns[0][0].get("answer"))
        rows.append(row)
    return [row | _ratios(row, rows[0]) for row in rows]


def _answer(task: Task, found: Any, ours: Any) -> str:
    if not isinstance(found, list):
        return f"{task.answer} {found:.5g}"
    return f"{task.answer}: {len({*found} & {*(ours or [])})} of {len(found)} as ours"


def _ratios(row: dict[str, Any], ours: dict[str, Any]) -> dict[str, float]:
    if "why" in row or "why" in ours:
        return {}
    return {"times": row["seconds"] / ours["seconds"], "times_mb": row["extra_mb"] / max(ours["extra_mb"], 1)}


def line(row: dict[str, Any]) -> str:
    if "why" in row:
        return f"| {row['task']} | {row['images']:,} | {row['by']} | {row['why']} | | | | |"
    ratios = [f"{row[key]:.1f}" if key in row else "" for key in ("times", "times_mb")]
    return (f"| {row['task']} | {row['images']:,} | {row['by']} | {row['seconds']:.3f} | {ratios[0]} "
            f"| {row['extra_mb']:,.0f} | {ratios[1]} | {row['answer']} |")  # fmt: skip


def exponent(seconds: dict[int, float]) -> float:
    """The b of seconds = a N^b; 2 where there is nothing to fit."""
    if len(seconds) < 2:
        return 2.0
    return float(np.polyfit(np.log([*seconds]), np.log([*seconds.values()]), 1)[0])


def growth(name: str, images: int, longest: float) -> dict[str, Any]:
    """Seconds at each size, as far as memory allows and as no size is expected to take longer than that (s)."""
    seconds: dict[int, float] = {}
    row: dict[str, Any] = {"strategy": name, "seconds": seconds}
    for n in (images // 5, images, 4 * images, 20 * images):
        last = [*seconds][-2:]
        steepest = exponent({size: seconds[size] for size in last})
        if last and seconds[last[-1]] * (n / last[-1]) ** steepest > longest:
            return row | {"why": f"above {longest:g} s at {n:,}"}
        found = alone(grown, name, n)
        if "why" in found:
            return row | {"why": f"{found['why']} at {n:,}"}
        seconds[n] = found["seconds"]
        row |= {"extra_mb": found["extra_mb"], "exponent": exponent(seconds) if len(seconds) > 1 else None}
    return row


def grown_line(row: dict[str, Any]) -> str:
    times = ", ".join(f"{n:,}: {seconds:.3g} s" for n, seconds in row["seconds"].items())
    power = f"{row['exponent']:.2f}" if row.get("exponent") is not None else ""
    return f"| {row['strategy']} | {times} | {power} | {row.get('extra_mb', '')} | {row.get('why', '')} |"


@click.command()
@click.option("--images", default=50_000, show_default=True, help="All numbers of images follow it.")
@click.option("--only", multiple=True, help=f"{', '.join(TASKS)}; with --growth a strategy.")
@click.option("--growth", "grow", is_flag=True, help="The time of each strategy at four sizes.")
@click.option("--longest", default=900.0, show_default=True, help="Seconds that a size of --growth may take.")
@click.option(
    "--clones", type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help=f"Folder that holds clones of {' and '.join(peers.REPOSITORIES)}.",
)  # fmt: skip
@click.option("--repeats", default=1, show_default=True, help="Processes for each row; the median counts.")
@click.option("--save/--no-save", "keep", default=True, show_default=True)
def main(
    images: int, only: tuple[str, ...], grow: bool, longest: float, clones: str | None, repeats: int, keep: bool
) -> None:
    if clones:
        os.environ[peers.CLONES] = clones  # each measurement has a process of its own
    known = [name for name in for_people() if name != "auto"] if grow else [*TASKS]
    if unknown := {*only} - {*known}:
        raise click.UsageError(f"unknown {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    rows: list[dict[str, Any]] = []
    titles = "strategy | images: seconds | exponent | extra MB at the last | stopped" if grow else (
        "what | images | by | seconds | times ours | extra MB | times ours | answer")  # fmt: skip
    print(f"| {titles} |\n{'|---' * (titles.count('|') + 1)}|", flush=True)
    for name in only or known:
        found = [growth(name, images, longest)] if grow else [
            row for number in range(len(TASKS[name])) for row in compared(name, number, images, repeats)]  # fmt: skip
        print("\n".join(map(grown_line if grow else line, found)), flush=True)
        rows += found
    setup = {"images": images, "repeats": repeats, "threads": torch.get_num_threads(), "peers": peers.versions()}
    if keep:
        print(save("-".join(["acquisition", *(["growth"] if grow else []), *only]), {"setup": setup, "rows": rows}))


if __name__ == "__main__":
    main()
