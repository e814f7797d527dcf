"""Each operation on a batch against Pillow on single images, to the last bit; the draws against their definition."""

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from learner.augment import weak
from learner.randaugment import CUTOUT, GREY, OPERATIONS, cutout, identity, rand_augment, strong

PILLOW: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "autocontrast": lambda image, v: ImageOps.autocontrast(image),
    "brightness": lambda image, v: ImageEnhance.Brightness(image).enhance(v),
    "color": lambda image, v: ImageEnhance.Color(image).enhance(v),
    "contrast": lambda image, v: ImageEnhance.Contrast(image).enhance(v),
    "equalize": lambda image, v: ImageOps.equalize(image),
    "identity": lambda image, v: image,
    "posterize": lambda image, v: ImageOps.posterize(image, int(v)),
    "rotate": lambda image, v: image.rotate(v),
    "sharpness": lambda image, v: ImageEnhance.Sharpness(image).enhance(v),
    "shear_x": lambda image, v: affine(image, 1, v, 0, 0, 1, 0),
    "shear_y": lambda image, v: affine(image, 1, 0, 0, v, 1, 0),
    "solarize": lambda image, v: ImageOps.solarize(image, 256 * v),
    "translate_x": lambda image, v: affine(image, 1, 0, v * image.width, 0, 1, 0),
    "translate_y": lambda image, v: affine(image, 1, 0, 0, 0, 1, v * image.height),
}


def affine(image: Image.Image, *matrix: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


def pictures() -> np.ndarray:
    """Noise, a narrow range, gradients, one colour, almost one colour, few values: (24, 14, 18, 3)."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (8, 14, 18, 3))
    narrow = rng.integers(90, 120, (4, 14, 18, 3))
    slopes = np.broadcast_to(np.linspace(0, 255, 18)[None, None, :, None], (4, 14, 18, 3)).round()
    plain = np.full((2, 14, 18, 3), (0, 200, 255))
    dotted = plain.copy()
    dotted[:, 3, 4] = 17
    few = rng.choice([0, 128, 255], (4, 14, 18, 3), p=[0.8, 0.1, 0.1])
    return np.concatenate([noise, narrow, slopes, plain, dotted, few]).astype(np.uint8)


def magnitudes(name: str, number: int) -> np.ndarray:
    operation = OPERATIONS[name]
    if operation.whole:
        return np.resize(np.arange(operation.low, operation.high + 1), number).astype(np.float32)
    return np.linspace(operation.low, operation.high, number, dtype=np.float32)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_does_to_a_batch_what_pillow_does_to_each_image(name):
    images = pictures()
    values = magnitudes(name, len(images))
    found = OPERATIONS[name].apply(torch.from_numpy(images), torch.from_numpy(values))
    assert found.dtype == torch.uint8
    for image, value, moved in zip(images, values.tolist(), found.numpy(), strict=True):
        assert np.array_equal(moved, np.asarray(PILLOW[name](Image.fromarray(image), value))), value


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_leaves_its_input_alone(name):
    images = torch.from_numpy(pictures())
    before = images.clone()
    OPERATIONS[name].apply(images, torch.from_numpy(magnitudes(name, len(images))))
    assert torch.equal(images, before)


def test_each_image_draws_one_of_fourteen_operations_half_of_the_time():
    """Every operation replaced by one that writes its own number."""
    number = 28_000

    def marks(value: int):
        return lambda images, magnitude: torch.full_like(images, value)

    marked = {
        name: op._replace(compute=marks(place + 1), moves=False) for place, (name, op) in enumerate(OPERATIONS.items())
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("learner.randaugment.OPERATIONS", marked)
        images = torch.zeros(number, 1, 1, 3, dtype=torch.uint8)
        rand_augment(images, seeded())
    seen = Counter(images[:, 0, 0, 0].tolist())
    assert abs(seen.pop(0) - number / 2) < 4 * math.sqrt(number / 4)
    assert len(seen) == 14
    assert all(abs(count - number / 28) < 4 * math.sqrt(number / 28) for count in seen.values())


@pytest.mark.parametrize("name", OPERATIONS)
def test_magnitudes_fill_the_range_of_the_paper(name):
    drawn = []

    def note(images, magnitude):
        drawn.extend(magnitude.tolist())
        return images

    operation = OPERATIONS[name]._replace(compute=note, moves=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("learner.randaugment.OPERATIONS", {name: operation})
        rand_augment(torch.zeros(4000, 1, 1, 3, dtype=torch.uint8), seeded())
    low, high = operation.low, operation.high
    assert min(drawn) == pytest.approx(low, abs=0.01 * (high - low))
    assert max(drawn) == pytest.approx(high, abs=0.01 * (high - low))
    assert np.mean(drawn) == pytest.approx((low + high) / 2, abs=0.05 * (high - low))
    assert not operation.whole or set(drawn) == {4, 5, 6, 7, 8}


def test_a_batch_becomes_what_each_image_becomes_by_itself():
    images = torch.from_numpy(np.repeat(pictures()[:1], 300, axis=0))
    found = images.clone()
    rand_augment(found, seeded())
    draws = seeded()
    which = torch.randint(len(OPERATIONS), (300,), generator=draws)
    kept = torch.rand(300, generator=draws) < 0.5
    where = torch.rand(300, generator=draws)
    for place, operation in enumerate(OPERATIONS.values()):
        for row in ((which == place) & ~kept).nonzero()[:, 0].tolist():
            span = operation.high - operation.low
            level = (
                operation.low + (where[row] * (span + 1)).floor()
                if operation.whole
                else operation.low + where[row] * span
            )
            images[row] = operation.apply(images[row : row + 1], level[None])[0]
    assert torch.equal(found, images)


@pytest.mark.parametrize("side", [8, 32])
def test_cutout_covers_a_square_of_half_the_side_cut_off_at_the_border(side):
    found = cutout(torch.zeros(5000, side, side, 3, dtype=torch.uint8), seeded()).numpy()
    size = int(CUTOUT * side)
    corners = set()
    for image in found:
        rows, columns = np.nonzero(image[..., 0])
        box = (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
        assert (image[box[0] : box[1], box[2] : box[3]] == GREY).all()
        for first, end in (box[:2], box[2:]):
            assert end - first == size or first == 0 or end == side
            assert size // 2 <= end - first <= size
        corners.add(box)
    assert len({box[:2] for box in corners}) == side  # every pixel was the middle


def test_a_strong_view_is_reproducible_its_own_for_each_image_and_starts_from_the_weak_one():
    images = torch.from_numpy(np.repeat(pictures()[:1], 500, axis=0))
    first, again, other = (strong(images, seeded(seed), flip=True) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({image.numpy().tobytes() for image in first}) > 450
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("learner.randaugment.OPERATIONS", {"identity": OPERATIONS["identity"]})
        patch.setattr("learner.randaugment.CUTOUT", 0)
        assert torch.equal(strong(images, seeded(), flip=True), weak(images, seeded(), flip=True))
    assert OPERATIONS["identity"].compute is identity
