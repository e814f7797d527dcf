"""The same as ours in other libraries: what acquisition.py compares with. A setup takes images and gives a run.

    pip install baal batchbald_redux toma scikit-activeml faiss-cpu pandas

beside this package, and clones of avihu111/TypiClust and ej0cl6/deep-active-learning in one folder, make the list
whole; what is not there is "not installed" in the table.
"""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from synthetic import RADIUS, away, embedding, inertia, logits, probabilities, top

from learner.acquisition.settings import TypiclustSettings

CLONES = "ANNOTATOR_CLONES"  # folder of the repositories
# what is imported -> what is installed
PACKAGES = {
    "baal": "baal", "batchbald_redux": "batchbald_redux", "toma": "toma", "skactiveml": "scikit-activeml",
    "faiss": "faiss-cpu", "pandas": "pandas",
}  # fmt: skip
MADE = {"DATASET": {"NAME": "made"}, "RNG_SEED": 0}  # what their code asks of its configuration
REPOSITORIES = ("TypiClust", "deep-active-learning")  # of avihu111 and ej0cl6


def bald_baal(n: int, classes: int) -> Any:
    from baal.active.heuristics import BALD

    given = probabilities(n, 50, classes)
    return lambda: BALD().compute_score(given), top


def joint_baal(n: int) -> Any:
    from baal.active.heuristics import BatchBALD

    given = probabilities(n, 20, 10)
    return lambda: BatchBALD(num_samples=10).get_ranks(given)[0][:10], list


def joint_redux(n: int) -> Any:
    from batchbald_redux.batchbald import get_batchbald_batch

    given = logits(n, 20, 10).double().log_softmax(dim=2).transpose(0, 1).contiguous()  # (n, T, C)
    return lambda: get_batchbald_batch(given, 10, 10_000, dtype=torch.double).indices, list


def centers_plain(n: int, picks: int) -> Any:
    """One product of the matrix with a vector for each pick."""
    x = embedding(n, 512)

    def run() -> list[int]:
        lengths, nearest, rows = np.square(x).sum(axis=1), np.full(n, np.inf, np.float32), [0]
        for _ in range(min(picks, n // 2)):
            np.minimum(nearest, lengths + lengths[rows[-1]] - 2 * (x @ x[rows[-1]]), out=nearest)
            rows.append(int(nearest.argmax()))
        return rows

    return run, lambda rows: float(away(x, rows).max())


def centers_activeml(n: int, picks: int) -> Any:
    from skactiveml.pool import CoreSet

    x, y = embedding(n, 512), np.full(n, np.nan)
    y[0] = 0
    run = lambda: CoreSet(random_state=0).query(x, y, batch_size=min(picks, n // 2))  # noqa: E731
    return run, lambda rows: float(away(x, [0, *rows]).max())


def centers_matrix(n: int, picks: int) -> Any:
    """deep-active-learning holds all distances at once."""
    module = _from_clone("deep-active-learning", {"query_strategies": ""}, "query_strategies.kcenter_greedy")
    x = embedding(n, 512)
    net = SimpleNamespace(get_embeddings=torch.from_numpy)

    def run() -> list[int]:
        labeled = np.arange(n) == 0
        data = SimpleNamespace(n_pool=n, labeled_idxs=labeled, get_train_data=lambda: (labeled.copy(), x))
        return module.KCenterGreedy(data, net).query(min(picks, n // 2)).tolist()

    return run, lambda rows: float(away(x, [0, *rows]).max())


def centers_official(n: int, picks: int) -> Any:
    """The greedy form in TypiClust's repository, a product a pick; it wants a graphics card and gets the processor."""
    module = _of_typiclust("Sampling")
    x, sampler = embedding(n, 512), object.__new__(module.CoreSetMIPSampling)  # without its look for a card
    sampler.isMIP, sampler.cfg = False, SimpleNamespace(ACTIVE_LEARNING=SimpleNamespace(BUDGET_SIZE=min(picks, n // 2)))

    def run() -> list[int]:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return [row + 1 for row in sampler.greedy_k_center(x[:1], x[1:])[0]]

    return run, lambda rows: float(away(x, [0, *rows]).max())


def clusters_sklearn(n: int) -> Any:
    from sklearn.cluster import KMeans

    x, kmeans = embedding(n, 384), KMeans(min(1000, n // 2), n_init=1, max_iter=20, random_state=0)
    return lambda: kmeans.fit(x), lambda found: inertia(x, found.labels_, found.cluster_centers_)


def typical_activeml(n: int) -> Any:
    from skactiveml.pool import TypiClust

    x, strategy = embedding(n, 384), TypiClust(random_state=0, k=TypiclustSettings().neighbors)
    run = lambda: strategy.query(x, np.full(n, np.nan), batch_size=min(100, n // 20))  # noqa: E731
    return run, lambda rows: float(away(x, rows).mean())


def typical_official(n: int) -> Any:
    """The code of the paper; its search for neighbours wants graphics cards and gets the processor."""
    import faiss

    faiss.index_cpu_to_all_gpus = lambda index: index
    x, module = embedding(n, 384), _of_typiclust("typiclust")
    module.ds_utils.load_features = lambda *which: x

    def run() -> Any:
        with redirect_stdout(io.StringIO()):
            return module.TypiClust(MADE, np.arange(0), np.arange(n), min(100, n // 20)).select_samples()[0]

    return run, lambda rows: float(away(x, rows).mean())


def _of_typiclust(module: str) -> ModuleType:
    """One of its strategies, on the processor, without its models."""
    torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign]
    sys.modules["pycls.al.vaal_util"] = stub = ModuleType("pycls.al.vaal_util")
    stub.train_vae_disc = None  # type: ignore[attr-defined]
    packages = {"pycls": "deep-al", "pycls.al": "deep-al", "pycls.datasets": "deep-al", "pycls.datasets.utils": ""}
    return _from_clone("TypiClust", packages, f"pycls.al.{module}")


def _from_clone(name: str, packages: dict[str, str], module: str) -> ModuleType:
    """A module of a clone, without what its packages import besides. `packages`: name -> folder that holds it."""
    root = Path(os.environ.get(CLONES, "")) / name
    if CLONES not in os.environ or not root.is_dir():
        raise ModuleNotFoundError(f"no clone of {name}", name=name)
    for package, folder in packages.items():
        sys.modules[package] = stub = ModuleType(package)
        stub.__path__ = [str(root / folder / package.replace(".", "/"))]
    return import_module(module)


def cover_activeml(n: int) -> Any:
    from skactiveml.pool import ProbCover

    x, strategy = embedding(n, 384), ProbCover(n_classes=10, deltas=[RADIUS], random_state=0)
    run = lambda: strategy.query(x, np.full(n, np.nan), batch_size=min(100, n // 2))  # noqa: E731
    return run, lambda rows: float((away(x, rows) <= RADIUS).float().mean())


def cover_official(n: int) -> Any:
    """ProbCover by its authors, in TypiClust's repository. It looks at whole blocks of 500 images."""
    n = max(n, 500)
    x, module = embedding(n, 384), _of_typiclust("prob_cover")
    module.ds_utils.load_features = lambda *which: x

    def run() -> Any:
        with redirect_stdout(io.StringIO()):
            cover = module.ProbCover(MADE, np.arange(0), np.arange(n), min(100, n // 2), RADIUS)
            return cover.select_samples()[0]

    return run, lambda rows: float((away(x, rows) <= RADIUS).float().mean())


def can_be_missing(module: str) -> bool:
    """Is the module a peer's, which is compared only where it is installed?"""
    return module.partition(".")[0] in (*PACKAGES, *REPOSITORIES)


def versions() -> dict[str, str]:
    """What is compared with; a clone's is its commit."""
    found = {}
    for name in PACKAGES.values():
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    for name in REPOSITORIES:
        root = Path(os.environ.get(CLONES, "")) / name
        if CLONES in os.environ and root.is_dir():
            command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
            found[name] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return found
