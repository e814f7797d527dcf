"""Pictures: decoding whatever people have, the pixels that train, and what the browser gets of them.

Files are hostile. Formats that are programs or documents are refused, the size is checked before a pixel is
decoded, and whatever goes wrong is a BadImage with one line. The browser never gets an original.
"""

import io
import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from annotator.errors import AnnotatorError

PIXEL_LIMIT = 200_000_000
ALONE_FROM = 25_000_000  # pixels; so large ones are decoded one at a time, else eight threads fill the memory
LOSSLESS_SIDE = 512
RENDITION_SIDE = 1600
LARGE_SIDE = 4096  # px, under the loupe

_REFUSED_FORMATS = frozenset({"EPS", "WMF", "PDF"})  # decoded by Ghostscript or by Windows
_REFUSED_STARTS = {
    b"%!ps": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%pdf": "PDF",
    b"<svg": "SVG",
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112
_LARGE = threading.Lock()

# Pillow speaks through settings of the whole process. Its bomb check also covers images inside images (ICO),
# which the header does not tell; what else it warns of (odd metadata) is of no use to anybody who labels.
Image.MAX_IMAGE_PIXELS = PIXEL_LIMIT
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


class BadImage(AnnotatorError):
    """These bytes are not an image that can be used; the message is the reason."""


class Picture(NamedTuple):
    """An upright RGB image without metadata, and the size of the original after the turn."""

    image: Image.Image
    width: int
    height: int


def decode(source: bytes | BinaryIO) -> Image.Image:
    """The first frame, upright, in sRGB, on white where transparent, without metadata. Raises BadImage."""
    return read(source).image


def read(source: bytes | BinaryIO, at_least: int = 0) -> Picture:
    """Like `decode`, with the original's size. Raises BadImage.

    `at_least`: it may decode to a smaller size, as long as both sides keep so many pixels; 0: it may not.
    """
    with _only_bad_image():
        opened = _open(source)
        size = opened.size
        reduced = at_least and opened.draft(None, (at_least, at_least))
        with _its_turn(opened):
            opened.load()
            orientation = _orientation(opened)  # after load: PNG may keep it at the end, TIFF turns itself
            image = _turned(_rgb(opened), orientation)
        width, height = _turned_size(size, orientation) if reduced else image.size
        return Picture(image, width, height)


def check(source: bytes | BinaryIO) -> None:
    """Raises BadImage unless the header promises an image of a size that can be used. Quick."""
    with _only_bad_image():
        _open(source)


def format_of(source: bytes | BinaryIO) -> str:
    """JPEG, PNG and so on, by the header, as Pillow calls it. Raises BadImage."""
    with _only_bad_image():
        return str(_open(source).format)


def _its_turn(image: Image.Image) -> AbstractContextManager[object]:
    """What a large image waits for."""
    return _LARGE if image.width * image.height >= ALONE_FROM else nullcontext()


@contextmanager
def _only_bad_image() -> Iterator[None]:
    try:
        yield
    except BadImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(_too_large()) from None
    except UnidentifiedImageError:
        raise BadImage("not an image, or of a format that is not supported") from None
    except MemoryError:
        raise BadImage("too large for the memory of this machine") from None
    except Exception as error:  # decoders fail in every way there is
        said = str(error).partition("\n")[0]
        reason = "".join(filter(str.isprintable, said))[:100] or type(error).__name__  # it may quote the file
        raise BadImage(f"damaged: {reason}") from error


def _too_large() -> str:
    return f"larger than {PIXEL_LIMIT // 1_000_000} megapixels"


def _open(source: bytes | BinaryIO) -> ImageFile.ImageFile:
    """The header alone: nothing is decoded yet."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    file.seek(0)
    _refuse(file.read(64))
    Image.preinit()  # the common formats first
    Image.init()
    opened = Image.open(file, formats=[name for name in Image.ID if name not in _REFUSED_FORMATS])
    if opened.width * opened.height > PIXEL_LIMIT:
        raise BadImage(_too_large())
    if not opened.width * opened.height:
        raise BadImage("has no pixels")
    return opened


def _refuse(start: bytes) -> None:
    """BadImage for formats that are known and not wanted, so that the reason is clear."""
    if not start:
        raise BadImage("an empty file")
    for mark, name in _REFUSED_STARTS.items():
        if start.lstrip().lower().startswith(mark):
            raise BadImage(f"{name} is refused: it is a document, not a photo; save it as PNG")


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1 where there is none or the metadata are broken."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
        return value if value in _TURNS else 1
    except Exception:  # broken metadata say nothing about the pixels
        return 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    turned = image.transpose(_TURNS[orientation]) if orientation in _TURNS else image
    turned.info = {}
    return turned


def _turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return (size[1], size[0]) if orientation >= 5 else size


def _rgb(image: Image.Image) -> Image.Image:
    """Any mode -> a new image in RGB and sRGB."""
    profile = image.info.get("icc_profile")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_deep(image)
    if image.has_transparency_data:
        return _srgb(_on_white(image), profile)
    if image.mode not in ("L", "CMYK", "LAB"):
        image = image.convert("RGB")
    return _srgb(image, profile)


def _from_deep(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits: scaled, never clipped.

    Black is 0 or the darkest negative value, white the next 2^k - 1 above the brightest: neither 12-bit
    X-rays in 16-bit files nor floats up to 1 are black, and similar images stay comparably bright.
    """
    values = np.array(image, dtype=np.float32)
    values[~np.isfinite(values)] = 0
    np.clip(values, -1e30, 1e30, out=values)
    values -= min(0.0, float(values.min()))
    white = max(2.0 ** math.ceil(math.log2(float(values.max()) + 1)) - 1, 1.0)
    values *= 255 / white
    return Image.fromarray(np.rint(values).astype(np.uint8)).convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(layer, mask=layer.getchannel("A"))
    return white


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB, L, CMYK or LAB -> sRGB; without a usable profile, as Pillow converts."""
    try:
        transform = _to_srgb(profile, image.mode)
        if transform is not None:
            return ImageCms.applyTransform(image, transform) or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        pass  # a broken profile says nothing about the pixels
    return image.convert("RGB")


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None where there is nothing to do: no profile, or sRGB already, as in most photos."""
    srgb = ImageCms.createProfile("sRGB")
    if profile is None:
        lab = ImageCms.createProfile("LAB") if mode == "LAB" else None
        return ImageCms.buildTransform(lab, srgb, mode, "RGB") if lab else None
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if "srgb" in ImageCms.getProfileDescription(source).lower():
        return None
    return ImageCms.buildTransform(source, srgb, mode, "RGB")


def training_pixels(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """The centre square of an RGB image, scaled: (side, side, 3) uint8.

    Untouched where the shorter side has that many pixels already.
    """
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    box = (left, top, left + short, top + short)
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0))


def read_training(source: bytes | BinaryIO, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """(side, side, 3) uint8 and the original's (width, height): the same pixels at import and at prediction.

    Raises BadImage.
    """
    picture = read(source, at_least=2 * side)  # a 12-megapixel JPEG decodes in 14 ms instead of 97
    return training_pixels(picture.image, side), (picture.width, picture.height)


def rendition(image: Image.Image, limit: int = RENDITION_SIDE) -> tuple[bytes, str]:
    """(bytes, content type) of an image from `decode`; at most `limit` pixels, and 4096, on the longer side.

    Never enlarged. PNG, pixel for pixel, for images up to 512 pixels that fit; else JPEG.
    """
    limit = max(1, min(limit, LARGE_SIDE))
    longer = max(image.size)
    file = io.BytesIO()
    if longer <= min(limit, LOSSLESS_SIDE):
        image.save(file, "PNG")
        return file.getvalue(), "image/png"
    if longer > limit:
        width, height = (max(1, round(side * limit / longer)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    image.save(file, "JPEG", quality=88)
    return file.getvalue(), "image/jpeg"
