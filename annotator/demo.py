"""The embedded data set: scikit-learn's 1,797 handwritten digits as a folder of PNG files."""

from pathlib import Path

from PIL import Image

CLASSES = [str(digit) for digit in range(10)]
IMAGE_SIZE = 8


def write_digits(folder: Path) -> None:
    """Write the images that are not there yet: digit-0000.png to digit-1796.png, 8 x 8 px, grey."""
    from learner.datasets.embedded import digits_images

    folder.mkdir(parents=True, exist_ok=True)
    pixels, _ = digits_images()
    for number, image in enumerate(pixels):
        path = folder / f"digit-{number:04d}.png"
        if not path.exists():
            Image.fromarray(image).save(path)
