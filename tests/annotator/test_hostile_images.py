"""Every kind of picture people have, through the real import and out of the real route, against arrays made by hand."""

import io
import os
import re
import struct
import unicodedata
import zlib
from csv import DictReader
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from test_images import SMALL, UPRIGHT, encoded, gray, oriented, png_header
from test_importing import SIDE, Place, picture
from test_pages import Browser

from annotator import create_app
from annotator.export import csv
from annotator.originals import from_printable, printable

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\..*")

RNG = np.random.default_rng(11)
GRAY = RNG.integers(0, 256, (4, 6))
OTHER = 255 - SMALL


@pytest.fixture
def place(tmp_path: Path):
    made = Place(tmp_path, ("cat", "dog"))
    yield made
    made.db.close()


def shown(place: Place, name: str, query: str = "") -> np.ndarray:
    """The pixels that a browser gets of a file."""
    client = create_app(place.instance).test_client()
    with client.get(f"/image/{place.images()[name]}{query}") as answer:
        assert answer.status_code == 200, answer.text
        return np.asarray(Image.open(io.BytesIO(answer.data))).astype(int)


def png16(values: np.ndarray) -> bytes:
    """RGB of 16 bits, which Pillow does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def cmyk(image: np.ndarray) -> Image.Image:
    """Ink without black."""
    inks = np.concatenate([255 - image, np.zeros_like(image[..., :1])], axis=2)
    return Image.frombytes("CMYK", image.shape[1::-1], inks.tobytes())


# columns: what full red, green and blue are in XYZ at D50, as the specifications of the profiles have them
SRGB_XYZ = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
P3_XYZ = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])


def display_p3() -> bytes:
    """The profile of newer phones: sRGB's curve, wider primaries."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for start in range(132, 132 + 12 * struct.unpack_from(">I", profile, 128)[0], 12):
        tag, offset, _ = struct.unpack_from(">4sII", profile, start)
        if tag in (b"rXYZ", b"gXYZ", b"bXYZ"):
            values = np.rint(P3_XYZ[:, b"rgb".index(tag[0])] * 65536).astype(int)
            struct.pack_into(">3i", profile, offset + 8, *values)
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "P3 D".encode("utf-16-be"))


def p3_to_srgb(image: np.ndarray) -> np.ndarray:
    """By the formulas of IEC 61966-2-1, clipped to what sRGB can show."""
    share = image / 255
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    light = (light @ (np.linalg.inv(SRGB_XYZ) @ P3_XYZ).T).clip(0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def animated(format: str, **options: object) -> bytes:
    return encoded(SMALL, format, save_all=True, append_images=[Image.fromarray(OTHER)], duration=50, **options)


FINE = {"quality": 100, "subsampling": 0}
WIDE = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 120, 90], [128, 128, 128], [255, 255, 255]]] * 4)
PALETTE = np.asarray(Image.fromarray(SMALL).quantize(24).convert("RGB"))
USABLE = {  # the file, what it shows, and how far a pixel may be off
    **{
        f"EXIF orientation {turn} in {format}": (
            encoded(SMALL, format, exif=oriented(turn), **(FINE if format == "JPEG" else {})),
            UPRIGHT[turn](SMALL), 4 if format == "JPEG" else 0,
        )
        for turn in UPRIGHT for format in ("JPEG", "PNG", "TIFF")
    },
    "16 bits of gray": (encoded((GRAY * 257).astype(np.uint16)), gray(GRAY), 1),
    "16 bits of gray, TIFF": (encoded((GRAY * 257).astype(np.uint16), "TIFF"), gray(GRAY), 1),
    "12 of 16 bits": (encoded((GRAY * 16).astype(np.uint16)), gray(GRAY), 1),
    "16 bits of color": (png16(SMALL.astype(int) * 257), SMALL, 1),
    "floats": (encoded((GRAY / 255).astype(np.float32), "TIFF"), gray(GRAY), 1),
    "1 bit": (encoded(Image.fromarray(GRAY > 99)), gray((GRAY > 99) * 255), 0),
    "CMYK JPEG": (encoded(cmyk(SMALL), "JPEG", quality=100), SMALL, 4),
    "CMYK TIFF": (encoded(cmyk(SMALL), "TIFF"), SMALL, 1),
    "YCCK of an unknown profile": (encoded(cmyk(SMALL), "JPEG", quality=100, icc_profile=b"?" * 200), SMALL, 4),
    "Display P3 PNG": (encoded(WIDE.astype(np.uint8), icc_profile=display_p3()), p3_to_srgb(WIDE), 3),
    "Display P3 JPEG": (
        encoded(WIDE.astype(np.uint8).repeat(9, 0).repeat(9, 1), "JPEG", icc_profile=display_p3(), **FINE),
        p3_to_srgb(WIDE).repeat(9, 0).repeat(9, 1), 5,
    ),
    "a profile of gray on color": (encoded(SMALL, icc_profile=b"\0" * 128), SMALL, 0),
    "animated GIF": (
        encoded(Image.fromarray(PALETTE), "GIF", save_all=True, append_images=[Image.fromarray(OTHER)]), PALETTE, 0,
    ),
    "animated PNG": (animated("PNG"), SMALL, 0),
    "animated WebP": (animated("WEBP", lossless=True, exact=True), SMALL, 0),
    "TIFF of several pages": (animated("TIFF"), SMALL, 0),
    "transparent": (encoded(np.dstack([SMALL, (GRAY > 99) * 255]).astype(np.uint8)),
                    np.where(GRAY[..., None] > 99, SMALL, 255), 1),
    "one pixel": (encoded(SMALL[:1, :1]), SMALL[:1, :1], 0),
    "one pixel, GIF": (encoded(Image.new("P", (1, 1)), "GIF"), gray([[0]]), 0),
    "trailing bytes": (encoded(SMALL) + b"\xff" * 5000, SMALL, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", USABLE)
def test_a_picture_of_any_kind_is_shown_and_learned_from_as_it_is(place, name):
    data, expected, off = USABLE[name]
    (place.photos / "a.jpg").write_bytes(data)
    assert place.scan().images == 1, place.problems()
    pixels = shown(place, "a.jpg")
    assert pixels.shape == expected.shape
    assert abs(pixels - expected).max() <= off
    height, width = expected.shape[:2]
    assert place.all("SELECT width, height FROM images") == [(width, height)]
    if min(height, width) == SIDE:  # untouched: the centre square
        top, left = (height - SIDE) // 2, (width - SIDE) // 2
        centre = expected[top : top + SIDE, left : left + SIDE]
        assert abs(place.pixels()["a.jpg"].astype(int) - centre).max() <= off


@pytest.mark.parametrize("size", [(50_000, 1), (1, 50_000), (1, 1), (16_000, 2)])
@pytest.mark.parametrize("query", ["", "?size=96"])
def test_a_picture_of_any_shape_has_a_rendition_of_a_pixel_at_least(place, size, query):
    Image.new("RGB", size, (9, 99, 199)).save(place.photos / "a.png")
    place.scan()
    pixels = shown(place, "a.png", query)
    assert min(pixels.shape[:2]) >= 1
    assert max(pixels.shape[:2]) == min(96 if query else 1600, max(size))
    assert abs(pixels - [9, 99, 199]).max() <= 3
    assert (place.pixels()["a.png"] == [9, 99, 199]).all()


LARGE = RNG.integers(0, 256, (60, 60, 3), dtype=np.uint8)
JPEG, PNG = encoded(LARGE, "JPEG"), encoded(LARGE)
ASIDE = {  # the file, and what the reason says
    "cut JPEG": (JPEG[: len(JPEG) // 2], "truncated"),
    "cut PNG": (PNG[: len(PNG) // 2], "truncated"),
    "cut GIF": (encoded(LARGE, "GIF")[:2000], "truncated"),
    "cut TIFF": (encoded(LARGE, "TIFF")[:2000], "damaged|not an image"),
    "cut WebP": (encoded(LARGE, "WEBP", lossless=True)[:2000], "damaged"),
    "header of a JPEG": (JPEG[:20], "damaged|not an image"),
    "header of a PNG": (PNG[:8], "damaged|not an image"),
    "flipped bits": (PNG[:500] + bytes(900) + PNG[1400:], "damaged"),
    "bomb": (png_header(50_000, 50_000), "larger than 200 megapixels"),
    "largest bomb": (png_header(2**31 - 1, 2**31 - 1), "larger than 200 megapixels"),
    "bomb in an icon": (
        struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, 200, 22) + png_header(30_000, 30_000), "larger than",
    ),
    "bomb in a text": (PNG[:33] + struct.pack(">I", 0) + b"zTXt" + PNG[33:], "damaged|not an image"),
    "no width": (png_header(0, 9), "damaged|no pixels|not an image"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "SVG is refused"),
    "SVG with a prologue": (b"<?xml version='1.0'?>\n<svg/>", "not an image"),
    "HTML": (b"<!doctype html><script>alert(1)</script>", "not an image"),
    "PDF": (b"%PDF-1.7\n", "PDF is refused"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript is refused"),
    "WMF": (b"\xd7\xcd\xc6\x9a" + bytes(60), "not an image"),
    "empty": (b"", "empty"),
    "zeros": (bytes(5000), "not an image"),
}  # fmt: skip


@pytest.fixture
def among_good(place):
    """A folder in which every bad file stands between two good ones."""
    for number, (name, (data, _)) in enumerate(ASIDE.items()):
        (place.photos / f"{number:02d} {name}.jpg").write_bytes(data)
        picture(place.photos / f"{number:02d} good.png")
    place.counts = place.scan()
    return place


def test_what_cannot_be_used_is_set_aside_for_a_reason_and_costs_no_good_image(among_good):
    assert (among_good.counts.images, among_good.counts.aside) == (len(ASIDE), len(ASIDE))
    assert all(name.endswith("good.png") for name in among_good.images())
    assert shown(among_good, "20 good.png").shape == (SIDE, SIDE, 3)


def test_the_reason_is_one_short_line_and_the_right_one(among_good):
    reasons = {name[3:-4]: reason for name, reason in among_good.problems().items()}
    assert all(re.search(ASIDE[name][1], reason) for name, reason in reasons.items()), reasons
    assert all(reason.isprintable() and len(reason) < 120 for reason in reasons.values()), reasons


class Cells(HTMLParser):
    """The texts of the cells that hold names of files."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = ("class", "file") in attrs
        if self.inside:
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[-1] += data


NAMES = {
    "a newline": b"new\nline.png",
    "a return and a tab": b"a\rb\tc.png",
    "right to left": "\u202egnp.exe\u2066.png".encode(),
    "255 bytes": b"n" * 251 + b".png",
    "255 bytes of accents": "é".encode() * 125 + b"n.png",
    "not UTF-8": b"\xff\xfe\x80.png",
    "half a character": b"half \xc3.png",
    "a surrogate": b"\xed\xa0\x80.png",
    "markup": b"<img src=x onerror=alert(1)>.png",
    "quotes": b"\"'`.png",
    "a template": b"{{7*7}}{%x%}.png",
    "a backslash": b"a\\..\\x.png",
    "what looks escaped": b"\\u000a\\x41.png",
    "a formula": b"=cmd|' C calc'!A0.png",
    "a comma": b'a,"b",c.png',
    "percent": b"%2e%2e%2fx.png",
    "decomposed": "e\u0301.png".encode(),
    "nothing that prints": "\u200b\u3164.png".encode(),
    "terminal": b"\x1b[31mred.png",
    "a device": b"CON",
    "an option": b"--help",
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_with(place, kind):
    """It is imported, shown as text, and comes back out of the CSV byte for byte."""
    name = NAMES[kind]
    for folder in ("", "twice", "broken"):
        (place.photos / folder).mkdir(exist_ok=True)
        file = place.photos / folder / os.fsdecode(name)
        file.write_bytes(b"no image" if folder == "broken" else encoded(SMALL))
    assert (place.scan().images, place.scan().aside) == (1, 1)
    browser = Browser(create_app(place.instance).test_client())
    page = browser.client.get("/files").text
    printed = [printable(path) for path in (b"broken/" + name, b"twice/" + name, name)]
    assert sorted(Cells(page).found) == sorted(printed)
    assert not {unicodedata.category(character) for character in "".join(printed)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert browser.say(1).status_code == 200
    csv.export(place.instance, place.db, place.instance / "labels.csv")
    with (place.instance / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(DictReader(file))
    assert [from_printable(row["path"]) for row in rows] == sorted([name, b"twice/" + name])


def test_a_file_that_became_a_link_out_of_the_folder_is_not_shown(place):
    picture(place.photos / "a.png")
    place.scan()
    (place.photos / "a.png").rename(place.photos.parent / "a.png")
    (place.photos / "a.png").symlink_to(place.photos.parent / "a.png")
    answer = create_app(place.instance).test_client().get("/image/1")
    assert answer.status_code == 404
    assert "leads out" in answer.text
