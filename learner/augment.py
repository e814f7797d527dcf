"""Augmentation of whole batches, each image with its own draw.

Images are (N, H, W, C) here, as they are stored: whatever their type, on whatever device.
"""

import torch
from torch import Tensor

SHIFT = 0.125  # of the side


def weak(images: Tensor, generator: torch.Generator, *, flip: bool) -> Tensor:
    """Shift by up to 12.5 % of each side, reflected at the border; mirror half of the images if `flip`.

    (N, H, W, C) -> a new (N, H, W, C) of the same type. An image that may not flip is never mirrored.
    """
    number, height, width = images.shape[:3]
    rows = _shifted(number, height, generator)
    columns = _shifted(number, width, generator)
    if flip:
        mirrored = torch.rand(number, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    image = torch.arange(number)[:, None, None]
    where = (image, rows[:, :, None], columns[:, None, :])
    return images[tuple(index.to(images.device) for index in where)]


def _shifted(number: int, side: int, generator: torch.Generator) -> Tensor:
    """(N, side): which row or column comes where; beyond the image they come back, the border once."""
    reach = min(max(1, round(SHIFT * side)), side - 1)
    offsets = torch.randint(-reach, reach + 1, (number, 1), generator=generator)
    source = (torch.arange(side) + offsets).abs()
    return torch.where(source >= side, 2 * (side - 1) - source, source)
