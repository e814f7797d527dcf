"""Seconds of a step of `basic` and where they go, beside the floor and beside the field's loader of Pillow.

    python benchmarks/supervised_step.py [--repeats 5]

The floor is the same step on a constant batch without augmentation. The plain net at 8 px, a WideResNet-28-2 at 32 px.
Writes results/supervised_step-cpu.json or -cuda.json. The images are made: speed does not depend on what they show.
"""

import random
from statistics import median
from typing import Any

import click
import numpy as np
import torch
from loaders import CLASSES, SIDE, made, seconds, tensor, weak
from machine import save
from PIL import Image

from learner.config import BasicSettings
from learner.data import ImageSet
from learner.device import generator, pick_device
from learner.training import Task, basic, scratch

STEPS = 1000  # of the schedule


def measure(side: int, repeats: int, batch_size: int) -> dict[str, Any]:
    """Seconds of the parts, and ratios."""
    pixels = made(2000)[:, :side, :side]
    task = Task(ImageSet.of(pixels), {i: i % CLASSES for i in range(500)}, CLASSES)
    settings, device = BasicSettings(batch_size=batch_size, learning_rate=0.01), pick_device()
    net = scratch.build(task, settings).to(device, memory_format=torch.channels_last)
    optimizer, _ = basic._descent(net, settings, basic._usual(task, settings), STEPS)
    averaged = scratch.averaged(net, settings.ema_decay, STEPS)
    batches = basic.Batches(task, settings, generator(task.stream("data")), device)

    def step(x: torch.Tensor, classes: torch.Tensor) -> None:
        basic.descend(net, optimizer, x, classes, 0.05)
        averaged.update_parameters(net)

    constant = next(batches)
    floors, wholes = [], []
    for _ in range(repeats):  # in turns: what slows the machine slows both
        floors.append(seconds(lambda: step(*constant), 4, device))
        wholes.append(seconds(lambda: step(*next(batches)), 4, device))
    floor, whole = median(floors), median(wholes)
    augmentation = seconds(lambda: next(batches), 10 * repeats, device)
    average = seconds(lambda: averaged.update_parameters(net), 10 * repeats, device)
    found = {"step": whole, "floor": floor, "augmentation": augmentation, "average of weights": average}
    ratios = {"step / floor": whole / floor}
    if side == SIDE:
        found["Pillow on one core"] = seconds(lambda: pillow(pixels, batch_size), 10, torch.device("cpu"))
        ratios["Pillow on one core / augmentation"] = found["Pillow on one core"] / augmentation
    return {"net": net.kind, "side": side, "seconds": found, "ratios": ratios}


def pillow(pixels: np.ndarray, number: int) -> list[torch.Tensor]:
    """The weak views of a batch, one after the other."""
    return [tensor(weak(Image.fromarray(random.choice(pixels)))) for _ in range(number)]


@click.command()
@click.option("--repeats", default=5, show_default=True)
@click.option("--batch-size", default=64, show_default=True)
def main(repeats: int, batch_size: int) -> None:
    rows = [measure(side, repeats, batch_size) for side in (8, SIDE)]
    for row in rows:
        print(f"{row['net']}, {row['side']} px")
        print("\n".join(f"| {name} | {1000 * value:.2f} ms |" for name, value in row["seconds"].items()))
        print("\n".join(f"| {name} | {value:.2f} |" for name, value in row["ratios"].items()))
    setup = {"batch_size": batch_size, "repeats": repeats, "threads": torch.get_num_threads()}
    print(save(f"supervised_step-{pick_device().type}", {"setup": setup, "rows": rows}))


if __name__ == "__main__":
    main()
