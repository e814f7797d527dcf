"""Augmentation of whole batches, each image with its own draw.

Images are (N, H, W, C) here, as they are stored: whatever their type, on whatever device. Draws come from the CPU,
so that every device sees the same.
"""

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

SHIFT = 0.125  # of the side
TURN = 15  # degrees
STRETCH = 0.15
NUDGE = 0.06  # of the side


def weak(images: Tensor, generator: torch.Generator, *, flip: bool) -> Tensor:
    """Shift by up to 12.5 % of each side, reflected at the border; mirror half of the images if `flip`.

    (N, H, W, C) -> a new (N, H, W, C) of the same type. An image that may not flip is never mirrored.
    """
    number, height, width = images.shape[:3]
    rows = _shifted(number, height, generator)
    columns = _shifted(number, width, generator)
    if flip:
        columns = torch.where(_half(number, generator)[:, None], columns.flip(1), columns)
    first = torch.arange(number)[:, None, None] * height * width
    where = (first + rows[:, :, None] * width + columns[:, None, :]).flatten()
    return images.flatten(0, 2).index_select(0, where.to(images.device)).view(images.shape)


def affine(images: Tensor, generator: torch.Generator, *, flip: bool) -> Tensor:
    """Turn by up to 15 degrees, scale by up to 15 %, shift by up to 6 % of each side; mirror half if `flip`.

    (N, H, W, C) -> a new float (N, H, W, C) on the same scale, bilinear, the nearest border pixel beyond the border.
    Meant for tiny images, where the whole pixels of `weak` are coarse.
    """
    number, height, width = images.shape[:3]
    pixels = images.permute(0, 3, 1, 2).float()
    matrices = affine_matrices(number, (height, width), generator, flip=flip).to(images.device)
    grid = affine_grid(matrices, list(pixels.shape), align_corners=False)
    return grid_sample(pixels, grid, padding_mode="border", align_corners=False).permute(0, 2, 3, 1)


def affine_matrices(number: int, side: tuple[int, int], generator: torch.Generator, *, flip: bool) -> Tensor:
    """(number, 2, 3): from where in the image (x, y in -1..1) each output pixel comes, a draw for each image."""
    height, width = side
    turn = _between(number, generator) * math.radians(TURN)
    zoom = 1 / (1 + _between(number, generator) * STRETCH)
    mirror = torch.where(_half(number, generator), -1.0, 1.0) if flip else torch.ones(number)
    cos, sin = turn.cos() * zoom, turn.sin() * zoom
    matrices = torch.stack([cos * mirror, -sin * height / width, torch.zeros(number),
                            sin * width / height * mirror, cos, torch.zeros(number)], dim=1)  # fmt: skip
    matrices = matrices.reshape(number, 2, 3)
    matrices[:, :, 2] = 2 * NUDGE * torch.stack([_between(number, generator) for _ in range(2)], dim=1)
    return matrices


class View(Protocol):
    """A way to see a batch anew."""

    def __call__(self, images: Tensor, generator: torch.Generator, *, flip: bool) -> Tensor: ...


AUGMENTATIONS: dict[str, View] = {"weak": weak, "affine": affine}


def _between(number: int, generator: torch.Generator) -> Tensor:
    """(number,) uniform in -1..1."""
    return torch.rand(number, generator=generator) * 2 - 1


def _half(number: int, generator: torch.Generator) -> Tensor:
    """(number,) true for half of them, at random."""
    return torch.rand(number, generator=generator) < 0.5


def _shifted(number: int, side: int, generator: torch.Generator) -> Tensor:
    """(N, side): which row or column comes where; beyond the image they come back, the border once."""
    reach = min(max(1, round(SHIFT * side)), side - 1)
    offsets = torch.randint(-reach, reach + 1, (number, 1), generator=generator)
    source = (torch.arange(side) + offsets).abs()
    return torch.where(source >= side, 2 * (side - 1) - source, source)
