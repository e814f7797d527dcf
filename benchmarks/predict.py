"""Seconds to predict a pool: plain, head-only Monte Carlo, the whole net T times; ratios in one run.

    python benchmarks/predict.py [--images 50000] [--whole 2000] [--repeats 3]

WideResNet-28-2 at 32 px on made images. The whole net with T = 20 passes runs on a part of the images (--whole) and is
compared with the plain pass over that part. Writes results/predict-cpu.json or -cuda.json.
"""

import resource
import time
from statistics import median

import click
import numpy as np
import torch
from machine import save

from learner.data import ImageSet
from learner.device import pick_device
from learner.models.wrn import WideResNet
from learner.training.net import NetClassifier

PLAIN, MC = frozenset({"probs"}), frozenset({"mc"})


def made(number: int) -> ImageSet:
    return ImageSet.of(np.random.default_rng(0).integers(0, 256, (number, 32, 32, 3), dtype=np.uint8))


def classifier(bayesian: str, samples: int) -> NetClassifier:
    torch.manual_seed(0)
    device = pick_device()
    net = WideResNet(10, 28, 2, 0.3, 0.1 if bayesian == "net" else 0.0).eval()
    return NetClassifier(net.to(device, memory_format=torch.channels_last), (32, 32), device, bayesian, samples)


def seconds(given: NetClassifier, images: ImageSet, needs: frozenset[str]) -> float:
    start = time.perf_counter()
    given.predict(images, needs, np.random.default_rng(0), lambda event: None)
    return time.perf_counter() - start


@click.command()
@click.option("--images", default=50_000, show_default=True)
@click.option("--whole", default=2_000, show_default=True, help="Images for the passes through the whole net.")
@click.option("--repeats", default=3, show_default=True)
def main(images: int, whole: int, repeats: int) -> None:
    pool = made(images)
    part = pool.only(pool.ids[:whole])
    head, net = classifier("head", 50), classifier("net", 20)
    seconds(head, part, MC)  # warm
    plain, sampled, small, full = [], [], [], []
    for _ in range(repeats):  # in turns: what slows the machine slows all
        plain.append(seconds(head, pool, PLAIN))
        sampled.append(seconds(head, pool, MC))
        small.append(seconds(net, part, PLAIN))
        full.append(seconds(net, part, MC))
    found = {
        f"plain, {images:,} images": median(plain), f"T = 50, head only, {images:,} images": median(sampled),
        f"plain, {whole:,} images": median(small), f"T = 20, whole net, {whole:,} images": median(full),
    }  # fmt: skip
    ratios = {
        "T = 50, head only / plain": median(sampled) / median(plain),
        "T = 20, whole net / plain": median(full) / median(small),
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print("\n".join(f"| {name} | {value:.2f} s |" for name, value in found.items()))
    print("\n".join(f"| {name} | {value:.2f} |" for name, value in ratios.items()))
    print(f"peak memory {peak} MB, {pool.pixels.nbytes >> 20} MB of them the images")
    setup = {"images": images, "whole": whole, "repeats": repeats, "threads": torch.get_num_threads()}
    result = {"setup": setup, "seconds": found, "ratios": ratios, "peak_mb": peak}
    print(save(f"predict-{pick_device().type}", result))


if __name__ == "__main__":
    main()
