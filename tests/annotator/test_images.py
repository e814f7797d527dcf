"""Decoding against arrays built by hand."""

import io
import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from annotator import images
from annotator.images import BadImage

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\..*")

RNG = np.random.default_rng(7)
SMALL = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)  # no symmetry


def encoded(image, format="PNG", **options):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, format, **options)
    return file.getvalue()


def decoded(data):
    image = images.decode(data)
    assert image.mode == "RGB"
    return np.asarray(image)


def oriented(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(orientation, format):
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    data = encoded(SMALL, format, exif=oriented(orientation), **options)
    assert (decoded(data) == UPRIGHT[orientation](SMALL)).all()


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_reduced_decode_reports_the_size_of_the_whole_upright_image(orientation):
    data = encoded(np.zeros((300, 800, 3), np.uint8), "JPEG", exif=oriented(orientation))
    picture = images.read(data, at_least=32)
    assert (picture.width, picture.height) == ((800, 300) if orientation < 5 else (300, 800))
    assert 32 <= min(picture.image.size) < 300
    reduced = picture.image
    assert picture.width / picture.height == pytest.approx(reduced.width / reduced.height, rel=0.02)


def test_broken_exif_is_no_reason_to_refuse_an_image():
    assert (decoded(encoded(SMALL, exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff")) == SMALL).all()


def gray(values):
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=2)


RAMP = np.array([[0, 60, 128, 255]])


@pytest.mark.parametrize(
    ("image", "format", "expected"),
    [
        (Image.fromarray(np.array([[True, False]])), "PNG", gray([[255, 0]])),
        (RAMP.astype(np.uint8), "PNG", gray(RAMP)),
        ((RAMP * 257).astype(np.uint16), "PNG", gray(RAMP)),
        ((RAMP * 257).astype(">u2"), "TIFF", gray(RAMP)),
        ((RAMP * 4095 // 255).astype(np.uint16), "TIFF", gray(RAMP)),  # 12 bits in 16
        ((RAMP * (2**20 - 1) // 255).astype(np.int32), "TIFF", gray(RAMP)),
        ((RAMP - 1000).astype(np.int32), "TIFF", gray(RAMP)),
        ((RAMP / 255).astype(np.float32), "TIFF", gray(RAMP)),
        (np.array([[np.nan, 0, 1, np.inf]], np.float32), "TIFF", gray([[0, 0, 255, 0]])),
        (np.zeros((1, 2), np.uint16), "PNG", gray([[0, 0]])),
    ],
)
def test_gray_of_any_depth_is_scaled_and_not_clipped(image, format, expected):
    assert abs(decoded(encoded(image, format)).astype(int) - expected).max() <= 1


def test_cmyk_is_ink_on_white():
    inks = RNG.integers(0, 256, (3, 5, 4), dtype=np.uint8)
    expected = (255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255
    image = Image.frombytes("CMYK", (5, 3), inks.tobytes())
    assert abs(decoded(encoded(image, "TIFF")) - expected).max() <= 1


def test_transparency_shows_white():
    rgba = RNG.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] * alpha + 255 * (1 - alpha)
    assert abs(decoded(encoded(rgba)) - expected).max() <= 1
    layer = encoded(Image.frombytes("LA", (7, 5), rgba[..., [0, 3]].tobytes()))
    assert abs(decoded(layer) - (rgba[..., :1] * alpha + 255 * (1 - alpha))).max() <= 1


def test_a_transparent_palette_entry_shows_white():
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    assert decoded(encoded(image)).tolist() == [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]
    shown = decoded(encoded(image, transparency=bytes([255, 0, 255])))
    assert shown.tolist() == [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# another name, and its red is blue
SWAPPED = SRGB.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
SWAPPED = SWAPPED.replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ").replace(b"----", b"bXYZ")


def test_colors_follow_the_embedded_profile():
    image = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], np.uint8)
    shown = decoded(encoded(image, icc_profile=SWAPPED)).astype(int)
    assert abs(shown - image[..., ::-1]).max() <= 2


@pytest.mark.parametrize("icc", [SRGB, b"nonsense", SWAPPED[:400]])
def test_srgb_and_broken_profiles_change_nothing(icc):
    assert (decoded(encoded(SMALL, icc_profile=icc)) == SMALL).all()


def test_lab_is_converted():
    lab = Image.frombytes("LAB", (3, 1), bytes([255, 0, 0, 0, 0, 0, 137, 0, 0]))  # L = 100, 0, 53.6 of 100
    shown = decoded(encoded(lab, "TIFF")).astype(int)
    assert abs(shown - gray([[255, 0, 128]])).max() <= 2


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (3, 2), color) for color in ("red", "blue")]
    for format in ("GIF", "WEBP", "TIFF", "PNG"):
        options = {"lossless": True} if format == "WEBP" else {}
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert decoded(data)[0, 0].tolist() == [255, 0, 0]


def png_header(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(50_000, 50_000), (15_000, 14_000), (2**31 - 1,) * 2, (200_000_001, 1)])
@pytest.mark.parametrize("filters", ["error", "ignore", "default"])
def test_a_decompression_bomb_is_refused_before_it_is_decoded_whatever_the_filters(size, filters):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter(filters)
        with pytest.raises(BadImage, match="larger than 200 megapixels"):
            images.check(png_header(*size))
    assert filters == "default" or not heard


def test_a_bomb_inside_an_icon_is_refused():
    inner = png_header(30_000, 30_000)
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inner), 22) + inner
    with pytest.raises(BadImage, match="larger than"):
        images.decode(icon)


def test_100_megapixels_are_no_bomb():
    images.check(png_header(10_000, 10_000))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello " * 100, "not an image"),
        (b"<html><body onload=alert(1)>", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"  <SVG/>", "SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"%PDF-1.7\n", "PDF"),
        (encoded(SMALL, "JPEG")[:-200], "damaged"),
        (encoded(RNG.integers(0, 256, (50, 50, 3), dtype=np.uint8))[:-3000], "damaged"),
        (b"\xd7\xcd\xc6\x9a" + bytes(60), "not an image"),  # WMF: Windows would run it
    ],
)
def test_what_is_no_image_says_so_in_one_line(data, reason):
    with pytest.raises(BadImage, match=reason) as raised:
        images.decode(data)
    assert "\n" not in str(raised.value)


SEEDS = [encoded(SMALL, format) for format in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "TGA", "ICO")]
SEEDS += [encoded(SMALL, "PPM")]
SEEDS += [encoded(SMALL, "TIFF", compression="tiff_lzw"), encoded(SMALL, "JPEG2000"), encoded(SMALL, "QOI")]
SEEDS += [encoded(SMALL, "JPEG", exif=oriented(6), icc_profile=SWAPPED), encoded(SMALL[..., 0], "PCX")]


def is_image_or_bad(data):
    """Any other exception fails the test."""
    try:
        return images.read(data, at_least=4).image.mode == "RGB"
    except BadImage as error:
        return len(str(error).splitlines()) == 1


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    st.integers(0, 40),
)
@example(SEEDS[0], [], 0)
def test_mutated_files_give_an_image_or_bad_image(seed, changes, cut):
    data = bytearray(seed[: len(seed) - cut])
    for position, value in changes:
        data[position % len(data)] = value
    assert is_image_or_bad(bytes(data))


@given(st.binary(max_size=300))
def test_random_bytes_give_an_image_or_bad_image(data):
    assert is_image_or_bad(data)


def test_a_reason_that_quotes_the_file_is_short_and_prints(monkeypatch):
    def quote(image):
        raise ValueError("bad header \x1b[31m\u202e\x85" + 500 * "x" + "\nmore")

    monkeypatch.setattr(images, "_rgb", quote)
    with pytest.raises(BadImage, match="damaged: bad header ") as raised:
        images.decode(encoded(SMALL))
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 120


@pytest.mark.parametrize(("alone_from", "at_once"), [(24, {1}), (25, {2, 3, 4})])
def test_large_images_are_decoded_one_at_a_time(monkeypatch, alone_from, at_once):
    running, seen, rgb = [], [], images._rgb

    def slow(image):
        running.append(image)
        seen.append(len(running))
        time.sleep(0.02)
        running.remove(image)
        return rgb(image)

    monkeypatch.setattr(images, "ALONE_FROM", alone_from)
    monkeypatch.setattr(images, "_rgb", slow)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(images.decode, [encoded(SMALL)] * 8))
    assert max(seen) in at_once


def test_training_pixels_are_untouched_where_the_size_fits():
    assert (images.training_pixels(Image.fromarray(SMALL[:, :4]), 4) == SMALL[:, :4]).all()
    assert (images.training_pixels(Image.fromarray(SMALL), 4) == SMALL[:, 1:5]).all()


def test_training_pixels_are_the_scaled_centre():
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 20:80] = [10, 200, 30]
    assert (images.training_pixels(Image.fromarray(wide), 8) == [10, 200, 30]).all()


def test_scaling_down_by_two_keeps_means():
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    small = images.training_pixels(Image.fromarray(noise), 8)
    blocks = noise.reshape(8, 8, 8, 8, 3).mean((1, 3))
    assert abs(small - blocks).mean() < 8
    assert small.mean() == pytest.approx(noise.mean(), abs=2)


@pytest.mark.parametrize("size", [(1, 1), (50_000, 1), (1, 50_000), (3, 700), (65, 64)])
def test_images_of_any_shape_train_and_show(size):
    image = images.decode(encoded(Image.new("RGB", size, (9, 99, 199))))
    assert (images.training_pixels(image, 16) == [9, 99, 199]).all()
    data, kind = images.rendition(image)
    assert max(Image.open(io.BytesIO(data)).size) == min(1600, max(size))
    assert kind in ("image/png", "image/jpeg")


@pytest.mark.parametrize("size", [(8, 8), (512, 3), (511, 512)])
def test_small_renditions_are_lossless(size):
    image = Image.fromarray(RNG.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    data, kind = images.rendition(image)
    assert kind == "image/png"
    assert (np.asarray(Image.open(io.BytesIO(data))) == np.asarray(image)).all()


@pytest.mark.parametrize(("limit", "longer"), [(1600, 1000), (96, 96), (5000, 1000), (0, 1)])
def test_a_rendition_keeps_to_its_limit(limit, longer):
    data, kind = images.rendition(Image.new("RGB", (1000, 500)), limit)
    assert kind == "image/jpeg"
    assert Image.open(io.BytesIO(data)).size == (longer, max(1, longer // 2))


@pytest.mark.parametrize("side", [40, 900])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_renditions_carry_no_metadata(side, format):
    exif = oriented(6)
    exif[0x010E] = "where I live"
    options = {"comment": b"where I live"} if format == "JPEG" else {}
    data = encoded(Image.new("RGB", (side, side)), format, exif=exif, icc_profile=SWAPPED, **options)
    shown = Image.open(io.BytesIO(images.rendition(images.decode(data))[0]))
    assert not shown.getexif()
    assert not {"exif", "icc_profile", "comment", "xmp"} & set(shown.info)
