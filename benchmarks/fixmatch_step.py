"""Seconds of a FixMatch step and where they go, beside the floor and beside the field's loader of Pillow in workers.

    python benchmarks/fixmatch_step.py [--repeats 5] [--workers 2]

The floor is the same step on a constant batch without augmentation. Prints a table and writes
results/fixmatch_step-cpu.json or -cuda.json. The images are made: speed does not depend on what they show.
"""

import math
import os
import random
from collections.abc import Callable
from statistics import median

import click
import numpy as np
import torch
from loaders import CLASSES, FIELD_STRONG, FIELD_TENSOR, FIELD_WEAK, made, seconds, strong, tensor, weak
from machine import save
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from learner.config import FixmatchSettings
from learner.data import ImageSet
from learner.device import generator, pick_device
from learner.training import Task, fixmatch, scratch


class Views(Dataset):
    """One labeled image with its mu unlabeled ones in both views: a sample of three loaders together."""

    def __init__(self, pixels: np.ndarray, mu: int, *ways: Callable) -> None:
        self.pixels, self.mu = pixels, mu
        self.weak, self.strong, self.tensor = ways

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: int) -> torch.Tensor:
        labeled, *others = (Image.fromarray(random.choice(self.pixels)) for _ in range(1 + self.mu))
        views = [self.weak(labeled), *map(self.weak, others), *map(self.strong, others)]
        return torch.stack([self.tensor(view) for view in views])


@click.command()
@click.option("--repeats", default=5, show_default=True)
@click.option("--workers", default=os.cpu_count() or 1, show_default=True, help="Processes of the Pillow loader.")
@click.option("--batch-size", default=64, show_default=True)
@click.option("--mu", default=7, show_default=True)
@click.option("--depth", default=28, show_default=True)
@click.option("--save/--no-save", "keep", default=True, show_default=True)
def main(repeats: int, workers: int, batch_size: int, mu: int, depth: int, keep: bool) -> None:
    pixels = made(2000)
    task = Task(ImageSet.of(pixels), {i: i % CLASSES for i in range(40)}, CLASSES)
    settings = FixmatchSettings(architecture="wrn", depth=depth, batch_size=batch_size, mu=mu)
    settings = fixmatch.filled(task, settings)
    device = pick_device()
    net = scratch.build(task, settings).to(device, memory_format=torch.channels_last)
    optimizer, _ = fixmatch._descent(net, settings, 1000)
    averaged = scratch.averaged(net, settings.ema_decay, 1000)
    teacher = fixmatch.Teacher(task, settings, device)
    batches = fixmatch.Batches(task, settings, generator(task.stream("data")), device)

    def step(batch: fixmatch.Batch) -> None:
        fixmatch._step(net, optimizer, batch, teacher, 1.0)
        averaged.update_parameters(net)

    constant = next(batches)
    floors, wholes = [], []
    for _ in range(repeats):  # in turns: what slows the machine slows both
        floors.append(seconds(lambda: step(constant), 1, device))
        wholes.append(seconds(lambda: step(next(batches)), 1, device))
    floor, whole = median(floors), median(wholes)
    augmentation = seconds(lambda: next(batches), 4 * repeats, device)
    average = seconds(lambda: averaged.update_parameters(net), 4 * repeats, device)
    lean, views = Views(pixels, mu, weak, strong, tensor), Views(pixels, mu, FIELD_WEAK, FIELD_STRONG, FIELD_TENSOR)
    lean_core = seconds(lambda: [lean[0] for _ in range(batch_size)], repeats, torch.device("cpu"))
    one_core = seconds(lambda: [views[0] for _ in range(batch_size)], repeats, torch.device("cpu"))
    loader = iter(DataLoader(views, batch_size=batch_size, num_workers=workers))
    for _ in range(2 * workers):  # what the workers made ahead does not count
        next(loader)
    loaded = seconds(lambda: next(loader), 4 * repeats * workers, torch.device("cpu"))
    found = {
        "step": whole, "floor": floor, "augmentation": augmentation, "average of weights": average,
        "the field's loader on one core": one_core, f"the field's loader in {workers} workers": loaded,
        "lean Pillow on one core": lean_core,
    }  # fmt: skip
    ratios = {
        "step / floor": whole / floor,
        "the field's loader on one core / augmentation": one_core / augmentation,
        f"the field's loader in {workers} workers / augmentation": loaded / augmentation,
        "lean Pillow on one core / augmentation": lean_core / augmentation,
        "hours of 2^20 steps": whole * 2**20 / 3600,
    }
    print("| | ms |\n|---|---|")
    print("\n".join(f"| {name} | {1000 * value:.1f} |" for name, value in found.items()))
    print("\n".join(f"{name}: {value:.2f}" for name, value in ratios.items()))
    if not all(math.isfinite(value) for value in ratios.values()):
        raise SystemExit("a ratio is not finite; set more --repeats")
    setup = {"batch_size": batch_size, "mu": mu, "depth": depth, "repeats": repeats, "threads": torch.get_num_threads()}
    if keep:
        print(save(f"fixmatch_step-{device.type}", {"setup": setup, "seconds": found, "ratios": ratios}))


if __name__ == "__main__":
    main()
