"""Seconds of a FixMatch step and where they go, beside the floor and beside the field's loader of Pillow in workers.

    python benchmarks/fixmatch_step.py [--repeats 5] [--workers 2]

The floor is the same step on a constant batch without augmentation. Prints a table and writes
results/fixmatch_step-cpu.json or -cuda.json. The images are made: speed does not depend on what they show.
"""

import math
import os
import random
import time
from collections.abc import Callable
from statistics import median

import click
import numpy as np
import torch
from machine import save
from PIL import Image, ImageEnhance, ImageOps
from torch.utils.data import DataLoader, Dataset

from learner.config import FixmatchSettings
from learner.data import ImageSet
from learner.device import generator, pick_device
from learner.training import Task, fixmatch, scratch

SIDE, CLASSES = 32, 10
GREY = (127, 127, 127)


def made(number: int) -> np.ndarray:
    """(number, 32, 32, 3) uint8: smooth noise."""
    coarse = np.random.default_rng(0).integers(0, 256, (number, 8, 8, 3)).astype(np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for image in coarse]
    )


# ---- the field's way: one image after the other, with Pillow


def affine(image: Image.Image, *matrix: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


def enhancer(kind: type) -> Callable[[Image.Image], Image.Image]:
    return lambda image: kind(image).enhance(random.uniform(0.05, 0.95))


PILLOW: list[Callable[[Image.Image], Image.Image]] = [
    ImageOps.autocontrast,
    ImageOps.equalize,
    lambda image: image,
    *(
        enhancer(k)
        for k in (ImageEnhance.Brightness, ImageEnhance.Color, ImageEnhance.Contrast, ImageEnhance.Sharpness)
    ),
    lambda image: ImageOps.posterize(image, random.randint(4, 8)),
    lambda image: ImageOps.solarize(image, int(random.uniform(0, 256))),
    lambda image: image.rotate(random.uniform(-30, 30)),
    lambda image: affine(image, 1, random.uniform(-0.3, 0.3), 0, 0, 1, 0),
    lambda image: affine(image, 1, 0, 0, random.uniform(-0.3, 0.3), 1, 0),
    lambda image: affine(image, 1, 0, random.uniform(-0.3, 0.3) * SIDE, 0, 1, 0),
    lambda image: affine(image, 1, 0, 0, 0, 1, random.uniform(-0.3, 0.3) * SIDE),
]


def weak(image: Image.Image) -> Image.Image:
    padded = np.pad(np.asarray(image), ((4, 4), (4, 4), (0, 0)), mode="reflect")
    x, y = random.randint(0, 8), random.randint(0, 8)
    moved = Image.fromarray(padded[y : y + SIDE, x : x + SIDE])
    return ImageOps.mirror(moved) if random.random() < 0.5 else moved


def strong(image: Image.Image) -> Image.Image:
    image = weak(image)
    for operation in random.choices(PILLOW, k=2):
        if random.random() < 0.5:
            image = operation(image)
    x, y = random.randrange(SIDE), random.randrange(SIDE)
    image.paste(GREY, (max(0, x - 8), max(0, y - 8), min(SIDE, x + 8), min(SIDE, y + 8)))
    return image


def tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


class Views(Dataset):
    """One labeled image with its mu unlabeled ones in both views: a sample of the field's loaders together."""

    def __init__(self, pixels: np.ndarray, mu: int) -> None:
        self.pixels, self.mu = pixels, mu

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: int) -> torch.Tensor:
        labeled, *others = (Image.fromarray(random.choice(self.pixels)) for _ in range(1 + self.mu))
        views = [weak(labeled), *(weak(image) for image in others), *(strong(image) for image in others)]
        return torch.stack([tensor(view) for view in views])


# ---- the clock


def seconds(action: Callable[[], object], repeats: int, device: torch.device) -> float:
    """The median of so many runs, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return median(times[1:])


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
    views = Views(pixels, mu)
    one_core = seconds(lambda: [views[0] for _ in range(batch_size)], repeats, torch.device("cpu"))
    loader = iter(DataLoader(views, batch_size=batch_size, num_workers=workers))
    for _ in range(2 * workers):  # what the workers made ahead does not count
        next(loader)
    loaded = seconds(lambda: next(loader), 4 * repeats * workers, torch.device("cpu"))
    found = {
        "step": whole, "floor": floor, "augmentation": augmentation, "average of weights": average,
        "Pillow on one core": one_core, f"Pillow in {workers} workers": loaded,
    }  # fmt: skip
    ratios = {
        "step / floor": whole / floor,
        "Pillow on one core / augmentation": one_core / augmentation,
        f"Pillow in {workers} workers / augmentation": loaded / augmentation,
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
