"""RandAugment and Cutout on whole batches: each image gets its own operations, on whatever device the batch is.

The fourteen operations, ranges and probabilities of FixMatch (Sohn et al. 2020, table 12), computed as Pillow computes
them, to the last bit: images stay uint8, look up their pixels through tables of 256 values or through coordinates, and
only the images that drew an operation are touched. Images are (N, H, W, 3) uint8.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from learner.augment import View, weak

CUTOUT = 0.5  # of each side
GREY = 127
_LUMA = (19595, 38470, 7471)  # of 65,536, as Pillow weighs red, green and blue

# (n, H, W, 3) uint8 and (n,) magnitudes -> the same shape and type; of what moves, matrices (n, 2, 3)
Compute = Callable[[Tensor, Tensor], Tensor]


class Operation(NamedTuple):
    """One operation, with the range of its magnitude."""

    compute: Compute
    low: float = 0.0
    high: float = 0.0
    whole: bool = False  # the magnitude is a whole number from low to high
    moves: bool = False  # it says where pixels come from, instead of what they become

    def apply(self, images: Tensor, magnitudes: Tensor) -> Tensor:
        """(n, H, W, 3) uint8 and (n,) -> a new batch."""
        found = self.compute(images, magnitudes)
        return _moved(images, found) if self.moves else found


# ---- tables: what becomes of each of 256 values


def _through(tables: Tensor, images: Tensor) -> Tensor:
    """Look every pixel up: tables (n, 256) for all channels or (n, 256, 3), integers in 0..255."""
    if tables.ndim == 2:
        tables = tables[:, :, None].expand(-1, -1, 3)
    number, height, width = images.shape[:3]
    found = tables.gather(1, images.reshape(number, -1, 3).long())
    return found.reshape(number, height, width, 3).to(torch.uint8)


def _values(images: Tensor) -> Tensor:
    """(1, 256): the values themselves."""
    return torch.arange(256, device=images.device)[None]


def _blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """first + share (second - first), cut to whole numbers as Pillow does for shares in 0..1."""
    return (first.float() + share * (second.float() - first.float())).to(torch.int64)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Towards black by 1 - factor."""
    return _through(_blend(torch.zeros_like(_values(images)), _values(images), factor[:, None]), images)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Towards the image's mean grey by 1 - factor."""
    mean = (_grey(images).double().mean(dim=(1, 2)) + 0.5).to(torch.int64)
    return _through(_blend(mean[:, None], _values(images), factor[:, None]), images)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest `bits` bits."""
    low = 2 ** (8 - bits.to(torch.int64))[:, None]
    return _through(_values(images) // low * low, images)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert what is at least `threshold` (a share of 256)."""
    values = _values(images)
    return _through(torch.where(values < 256 * threshold[:, None], values, 255 - values), images)


def autocontrast(images: Tensor, unused: Tensor) -> Tensor:
    """Stretch each channel to 0..255."""
    flat = images.flatten(1, 2)
    low, high = flat.amin(1)[:, None].double(), flat.amax(1)[:, None].double()
    scale = 255 / (high - low).clamp(min=1)
    values = _values(images)[:, :, None].double()
    tables = (values * scale - low * scale).to(torch.int64).clamp(0, 255)
    return _through(torch.where(high > low, tables, values.to(torch.int64)), images)


def equalize(images: Tensor, unused: Tensor) -> Tensor:
    """Make each channel's histogram as even as whole numbers allow."""
    number = len(images)
    pixels = images.reshape(number, -1, 3).long()
    counts = torch.zeros(number, 256, 3, dtype=torch.int64, device=images.device)
    counts.scatter_add_(1, pixels, torch.ones_like(pixels))
    brightest = counts.gather(1, pixels.amax(1, keepdim=True))  # how many pixels have the highest value
    step = (pixels.shape[1] - brightest) // 255
    tables = (step // 2 + counts.cumsum(1) - counts) // step.clamp(min=1)
    values = _values(images)[:, :, None].expand_as(tables)
    return _through(torch.where(step > 0, tables.clamp(max=255), values), images)


# ---- neighbours and channels


def _grey(images: Tensor) -> Tensor:
    """(n, H, W) int64: Pillow's conversion to L."""
    red, green, blue = images.long().unbind(-1)
    return (red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2] + 0x8000) >> 16


def color(images: Tensor, factor: Tensor) -> Tensor:
    """Towards grey by 1 - factor."""
    return _blend(_grey(images)[..., None], images, factor[:, None, None, None]).to(torch.uint8)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Towards a smoothed image by 1 - factor; the border stays as it is."""
    smooth = images.long()
    whole = smooth.clone()
    around = sum(
        whole[:, 1 + dy : whole.shape[1] - 1 + dy, 1 + dx : whole.shape[2] - 1 + dx]
        for dy in (-1, 0, 1) for dx in (-1, 0, 1)
    )  # fmt: skip
    inner = whole[:, 1:-1, 1:-1]
    smooth[:, 1:-1, 1:-1] = (2 * (around + 4 * inner) + 13) // 26  # of 13 parts, rounded
    return _blend(smooth, images, factor[:, None, None, None]).to(torch.uint8)


def identity(images: Tensor, unused: Tensor) -> Tensor:
    return images


# ---- geometry: where each pixel comes from; black where that is outside


def _moved(images: Tensor, matrices: Tensor) -> Tensor:
    """The nearest pixel under (n, 2, 3) matrices from the output's (x, y, 1), in pixels, to the source's."""
    number, height, width = images.shape[:3]
    y, x = torch.meshgrid(
        torch.arange(height, device=images.device) + 0.5, torch.arange(width, device=images.device) + 0.5, indexing="ij"
    )
    points = torch.stack([x.flatten(), y.flatten(), torch.ones_like(x).flatten()]).double()
    columns, rows = (matrices.double() @ points).floor().long().unbind(1)  # (n, H * W) each
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    first = torch.arange(number, device=images.device)[:, None] * (height * width)
    source = first + rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    found = images.reshape(-1, 3).index_select(0, source.flatten())
    return (found * inside.flatten()[:, None]).reshape(images.shape)


def _unmoved(images: Tensor) -> Tensor:
    """(n, 2, 3) that change nothing."""
    return torch.eye(2, 3, dtype=torch.float64, device=images.device).repeat(len(images), 1, 1)


def rotation(images: Tensor, degrees: Tensor) -> Tensor:
    """Counter-clockwise about the middle."""
    height, width = images.shape[1:3]
    turn = -torch.deg2rad(degrees.double())
    cos, sin = turn.cos(), turn.sin()
    x, y = width / 2, height / 2
    rows = torch.stack([cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y], dim=1)
    return rows.reshape(-1, 2, 3)


def shear_x(images: Tensor, by: Tensor) -> Tensor:
    matrices = _unmoved(images)
    matrices[:, 0, 1] = by
    return matrices


def shear_y(images: Tensor, by: Tensor) -> Tensor:
    matrices = _unmoved(images)
    matrices[:, 1, 0] = by
    return matrices


def translate_x(images: Tensor, by: Tensor) -> Tensor:
    """By a share of the width."""
    matrices = _unmoved(images)
    matrices[:, 0, 2] = by * images.shape[2]
    return matrices


def translate_y(images: Tensor, by: Tensor) -> Tensor:
    """By a share of the height."""
    matrices = _unmoved(images)
    matrices[:, 1, 2] = by * images.shape[1]
    return matrices


OPERATIONS: dict[str, Operation] = {
    "autocontrast": Operation(autocontrast),
    "brightness": Operation(brightness, 0.05, 0.95),
    "color": Operation(color, 0.05, 0.95),
    "contrast": Operation(contrast, 0.05, 0.95),
    "equalize": Operation(equalize),
    "identity": Operation(identity),
    "posterize": Operation(posterize, 4, 8, whole=True),
    "rotate": Operation(rotation, -30, 30, moves=True),
    "sharpness": Operation(sharpness, 0.05, 0.95),
    "shear_x": Operation(shear_x, -0.3, 0.3, moves=True),
    "shear_y": Operation(shear_y, -0.3, 0.3, moves=True),
    "solarize": Operation(solarize, 0, 1),
    "translate_x": Operation(translate_x, -0.3, 0.3, moves=True),
    "translate_y": Operation(translate_y, -0.3, 0.3, moves=True),
}


def strong(images: Tensor, generator: torch.Generator, *, flip: bool, view: View = weak) -> Tensor:
    """The strong view of FixMatch: weak, then two operations, each with probability one half, then Cutout.

    (N, H, W, 3) uint8 -> a new batch. All draws come from `generator`, which is on the CPU. `view` is the weak one.
    """
    images = view(images, generator, flip=flip)
    if images.is_floating_point():
        images = images.round().clamp(0, 255).to(torch.uint8)
    for _ in range(2):
        rand_augment(images, generator)
    return cutout(images, generator)


def rand_augment(images: Tensor, generator: torch.Generator) -> None:
    """One operation for each image, in place: one of the fourteen, applied with probability one half."""
    drawn = torch.randint(len(OPERATIONS), (len(images),), generator=generator)
    drawn[torch.rand(len(images), generator=generator) < 0.5] = -1
    where = torch.rand(len(images), generator=generator)
    moved: list[tuple[Tensor, Tensor]] = []
    for number, operation in enumerate(OPERATIONS.values()):
        chosen = (drawn == number).nonzero()[:, 0]  # on the CPU: a device need not be waited for
        if len(chosen) and operation.compute is not identity:
            there = chosen.to(images.device)
            found = operation.compute(
                images.index_select(0, there), _magnitudes(operation, where[chosen]).to(there.device)
            )
            if operation.moves:
                moved.append((there, found))
            else:
                images.index_copy_(0, there, found)
    if moved:  # whatever moves takes one look-up together
        there, matrices = (torch.cat(parts) for parts in zip(*moved, strict=True))
        images.index_copy_(0, there, _moved(images.index_select(0, there), matrices))


def _magnitudes(operation: Operation, where: Tensor) -> Tensor:
    """From (n,) uniform in [0, 1) to the operation's range."""
    if operation.whole:
        return operation.low + (where * (operation.high - operation.low + 1)).floor()
    return operation.low + where * (operation.high - operation.low)


def cutout(images: Tensor, generator: torch.Generator) -> Tensor:
    """A grey square of half the side about a random pixel, cut off at the border."""
    number, height, width = images.shape[:3]
    rows = _covered(number, height, generator)[:, :, None]
    columns = _covered(number, width, generator)[:, None, :]
    covered = (rows & columns).to(images.device)
    return images.masked_fill(covered[..., None], GREY)


def _covered(number: int, side: int, generator: torch.Generator) -> Tensor:
    """(N, side): which rows or columns a square about a random one covers."""
    size = math.floor(CUTOUT * side)
    first = torch.randint(side, (number, 1), generator=generator) - size // 2
    place = torch.arange(side)
    return (place >= first) & (place < first + size)
