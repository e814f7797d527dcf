"""Embeddings on disk: by content, resumable, and nothing that is damaged is believed."""

from pathlib import Path

import numpy as np
import pytest

from learner.data import ImageSet
from learner.events import Progress
from learner.features import cache, extract
from learner.features.cache import Cache

KEYS = [bytes([i]) * 32 for i in range(5)]
ROWS = np.arange(15, dtype=np.float32).reshape(5, 3) / 7


class Counting:
    """Rows are the mean colours; remembers how many images it saw."""

    side, batch, width = None, 4, 3

    def __init__(self, **about) -> None:
        self.about, self.seen = {"name": "counting", **about}, 0

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.seen += len(pixels)
        return pixels.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)


def some_images(folder: Path, number: int = 10, seed: int = 0) -> ImageSet:
    pixels = np.random.default_rng(seed).integers(0, 256, (number, 4, 4, 3)).astype(np.uint8)
    ids = np.arange(number)
    return ImageSet(ids, pixels, ids, cache=folder)


def test_rows_are_computed_once_and_are_those_of_float16(tmp_path):
    fitted = Counting()
    images = some_images(tmp_path)
    expected = images.pixels.mean(axis=(1, 2)).astype(np.float16).astype(np.float32)
    assert np.array_equal(extract(fitted, images), expected)
    assert np.array_equal(extract(fitted, some_images(tmp_path)), expected)
    assert fitted.seen == 10


def test_content_decides_and_not_the_id(tmp_path):
    fitted, images = Counting(), some_images(tmp_path)
    extract(fitted, images)
    ids = np.array([100, 200])
    moved = ImageSet(ids, images.pixels[[7, 2]], np.arange(2), cache=tmp_path)
    assert np.array_equal(extract(fitted, moved), extract(fitted, images)[[7, 2]])
    assert fitted.seen == 10


def test_new_images_are_added(tmp_path):
    fitted = Counting()
    extract(fitted, some_images(tmp_path, 6))
    whole = some_images(tmp_path, 6)
    more = ImageSet(np.arange(8), np.concatenate([whole.pixels, whole.pixels[:2] ^ 255]), np.arange(8), cache=tmp_path)
    extract(fitted, more)
    assert fitted.seen == 8


def test_other_settings_have_other_rows(tmp_path):
    one, two = Counting(size=1), Counting(size=2)
    extract(one, some_images(tmp_path))
    extract(two, some_images(tmp_path))
    assert (one.seen, two.seen) == (10, 10)


def test_stopped_in_the_middle_it_goes_on_there(tmp_path):
    fitted = Counting()

    def stop(event):
        if event.done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(fitted, some_images(tmp_path), stop)
    events = []
    rows = extract(fitted, some_images(tmp_path), events.append)
    assert fitted.seen == 10
    assert events[0] == Progress("embedding", 4, 10)
    assert np.array_equal(rows, extract(Counting(), some_images(tmp_path / "elsewhere")))


def stored(folder: Path) -> tuple[Cache, Path]:
    kept = Cache(folder, {"name": "x"}, 3)
    kept.add(KEYS, ROWS)
    kept.close()
    (path,) = kept.folder.glob("*.rows")
    return kept, path


@pytest.mark.parametrize("length", range(0, 5 * (32 + 4 + 6) + 1, 7))
def test_a_torn_file_gives_its_whole_rows(tmp_path, length):
    kept, path = stored(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    rows, known = kept.find(KEYS)
    assert known.sum() == length // 42
    assert np.array_equal(rows[known], ROWS.astype(np.float16)[known])


@pytest.mark.parametrize("place", [0, 31, 33, 36, 41, 50, 200])
def test_a_damaged_row_is_not_found_and_the_others_are(tmp_path, place):
    kept, path = stored(tmp_path)
    content = bytearray(path.read_bytes())
    content[place] ^= 16
    path.write_bytes(content)
    rows, known = kept.find(KEYS)
    assert known.tolist() == [i != place // 42 for i in range(5)]
    assert np.array_equal(rows[known], ROWS.astype(np.float16)[known])


def test_two_processes_write_side_by_side(tmp_path):
    first, second = (Cache(tmp_path, {"name": "x"}, 3) for _ in range(2))
    for i in range(4):
        (first, second)[i % 2].add(KEYS[i : i + 1], ROWS[i : i + 1])
    first.close(), second.close()
    rows, known = Cache(tmp_path, {"name": "x"}, 3).find(KEYS)
    assert known.tolist() == [True] * 4 + [False]
    assert np.array_equal(rows[:4], ROWS[:4].astype(np.float16))


def test_a_full_disk_costs_the_cache_and_nothing_else(tmp_path, monkeypatch):
    def full(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Cache, "_open", full)
    fitted = Counting()
    assert len(extract(fitted, some_images(tmp_path))) == 10
    assert fitted.seen == 10


class Files:
    """Originals of which one is gone."""

    def __init__(self, gone: int) -> None:
        self.gone = gone

    def keys(self, ids):
        return [KEYS[i] for i in ids.tolist()]

    def side(self):
        return 500

    def read(self, ids, side):
        return np.full((len(ids), side, side, 3), 9, np.uint8), ids != self.gone


def test_what_could_not_be_read_is_shown_enlarged_and_not_kept(tmp_path):
    fitted = Counting()
    fitted.side = 8
    small = some_images(tmp_path, 3)
    images = ImageSet(small.ids, small.pixels, small.rows, originals=Files(gone=1), cache=tmp_path)
    rows = extract(fitted, images)
    assert (rows[[0, 2]] == 9).all()
    assert rows[1] == pytest.approx(small.pixels[1].mean(axis=(0, 1)), abs=3)
    again = ImageSet(small.ids, small.pixels, small.rows, originals=Files(gone=-1), cache=tmp_path)
    assert (extract(fitted, again) == 9).all()
    assert fitted.seen == 4


def test_the_user_says_where_it_is(monkeypatch, tmp_path):
    monkeypatch.delenv("ANNOTATOR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.default_folder() == tmp_path / "annotator" / "features"
    monkeypatch.setenv("ANNOTATOR_CACHE", str(tmp_path / "here"))
    assert cache.default_folder() == tmp_path / "here"


def random_cache(folder: Path) -> tuple[Cache, list[bytes], np.ndarray]:
    """Sixty rows in two files."""
    rows = np.random.default_rng(3).normal(size=(60, 8)).astype(np.float16)
    keys = [bytes([i]) * 32 for i in range(60)]
    for part in (slice(0, 25), slice(25, 60)):
        writer = Cache(folder, {"name": "random"}, 8)
        writer.add(keys[part], rows[part].astype(np.float32))
        writer.close()
    return Cache(folder, {"name": "random"}, 8), keys, rows.astype(np.float64)


def test_the_nearest_rows_are_those_of_a_brute_force(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "CHUNK", 7)
    kept, keys, rows = random_cache(tmp_path)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for at in (0, 24, 25, 59):
        order = [i for i in np.argsort(-(unit @ unit[at])).tolist() if i != at]
        assert kept.nearest(keys[at], 5) == [keys[i] for i in order[:5]]
    assert kept.nearest(b"?" * 32, 5) == []


def test_a_damaged_row_is_nobodys_neighbour(tmp_path):
    kept, keys, _ = random_cache(tmp_path)
    (likest,) = kept.nearest(keys[0], 1)
    for path in kept.folder.glob("*.rows"):
        path.write_bytes(path.read_bytes().replace(likest, b"?" * 32))
    found = kept.nearest(keys[0], 59)
    assert not {likest, b"?" * 32} & set(found)
    assert len(found) == 58


def test_what_is_kept_is_found_again_and_what_is_torn_off_is_passed_over(tmp_path):
    kept, *_ = random_cache(tmp_path)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "about.json").write_text('{"na')
    assert [each.folder for each in cache.kept(tmp_path)] == [kept.folder]
    assert cache.kept(tmp_path / "nowhere") == []
