"""What step benchmarks share: made images, views by Pillow one image after the other, and a clock.

Twice: `weak`, `strong` and `tensor` are as lean as we can write them; FIELD_WEAK, FIELD_STRONG and FIELD_TENSOR are
put together from torchvision's transforms, as the published implementations of FixMatch do it.
"""

import random
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from torchvision import transforms

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


def operations(image: Image.Image) -> Image.Image:
    """RandAugment as the field has it: two operations, each with probability one half, and the square drawn."""
    for operation in random.choices(PILLOW, k=2):
        if random.random() < 0.5:
            image = operation(image)
    x, y = random.uniform(0, SIDE), random.uniform(0, SIDE)
    corners = (max(0.0, x - 8), max(0.0, y - 8), min(SIDE, x + 8), min(SIDE, y + 8))
    image = image.copy()
    ImageDraw.Draw(image).rectangle(corners, GREY)
    return image


MOVED = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(SIDE, padding=4, padding_mode="reflect")]
FIELD_WEAK = transforms.Compose(MOVED)
FIELD_STRONG = transforms.Compose([*MOVED, operations])
FIELD_TENSOR = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.49, 0.48, 0.45), (0.25, 0.24, 0.26))])


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
