"""Benchmark sets: every row of DATASETS, the digits against scikit-learn's, files and folders made here."""

import re

import numpy as np
import pytest
from PIL import Image
from public_sets import fake_openml, write_cifar, write_svhn
from sklearn.datasets import load_digits

from learner import datasets
from learner.datasets import DATASETS, load
from learner.datasets.embedded import digits_images
from learner.datasets.source import thinned
from learner.errors import BadSetting, DatasetError, UnknownName


def arrays(**changed):
    """40 random images that train, 10 that test; what is None is left out."""
    rng = np.random.default_rng(0)
    found = {
        "x_train": rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8),
        "y_train": np.arange(40) % 4,
        "x_test": rng.integers(0, 256, (10, 8, 8, 3), dtype=np.uint8),
        "y_test": np.arange(10) % 4,
    } | changed
    return {key: value for key, value in found.items() if value is not None}


@pytest.fixture
def npz(tmp_path):
    """Writes arrays; the text that names them."""

    def write(**changed) -> str:
        np.savez(tmp_path / "some.npz", **arrays(**changed))
        return f"npz:{tmp_path / 'some.npz'}"

    return write


def paint(path, color, size=(20, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


@pytest.fixture
def colors(tmp_path):
    """A folder of two classes, ten images each, in one colour each."""
    for name in ("blue", "red"):
        for number in range(10):
            paint(tmp_path / "colors" / name / f"{number}.png", name, (20 + number, 12))
    return tmp_path / "colors"


@pytest.fixture(params=DATASETS)
def text(request, npz, colors, tmp_path, monkeypatch):
    """A data set of every kind, small."""
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", str(tmp_path))
    datasets._source.cache_clear()
    if request.param in ("cifar10", "cifar100"):
        write_cifar(tmp_path, request.param.upper(), monkeypatch)
    elif request.param == "svhn":
        write_svhn(tmp_path, monkeypatch)
    elif request.param == "openml":
        fake_openml(monkeypatch)
    return {"npz": npz(), "folder": f"folder:{colors}", "openml": "openml:5"}.get(request.param, request.param)


@pytest.mark.parametrize("option", ["", "@modified"])
def test_train_and_test_share_no_image(text, option):
    found = load(text + option, 1)
    assert not set(found.train.ids.tolist()) & set(found.test.ids.tolist())
    assert len(found.train_classes) == len(found.train)
    assert len(found.test_classes) == len(found.test)
    assert found.train.take(found.train.ids[:2]).shape == (2, *found.test.pixels.shape[1:3], 3)
    assert found.name == text + option


@pytest.mark.parametrize("option", ["", "@modified"])
def test_the_seed_decides_and_nothing_else(text, option):
    first, again, other = load(text + option, 1), load(text + option, 1), load(text + option, 2)
    datasets._divided.cache_clear()
    assert first.train.ids.tolist() == again.train.ids.tolist() == load(text + option, 1).train.ids.tolist()
    if option or text.partition(":")[0] in ("digits", "folder", "openml"):
        assert first.train.ids.tolist() != other.train.ids.tolist()


def test_modified_keeps_a_tenth_of_half_of_the_classes_and_the_whole_test(text):
    whole, found = load(text, 3), load(f"{text}@modified", 3)
    before, after = (np.bincount(part.train_classes) for part in (whole, found))
    thin = after < before
    assert thin.sum() == len(before) // 2
    assert after[thin].tolist() == [max(1, round(count / 10)) for count in before[thin]]
    assert found.test.ids.tolist() == whole.test.ids.tolist()
    assert set(found.train.ids.tolist()) < set(whole.train.ids.tolist())


def test_which_half_is_thinned_follows_the_seed_and_favours_no_class():
    classes = np.repeat(np.arange(10), 100)
    counts = np.array([np.bincount(classes[thinned(classes, seed)]) for seed in range(200)])
    assert ((counts == 10).sum(axis=1) == 5).all()
    assert 70 <= (counts == 10).sum(axis=0).min() <= (counts == 10).sum(axis=0).max() <= 130
    assert len({tuple(thinned(classes, seed).tolist()) for seed in range(20)}) == 20


def test_a_file_is_read_once_for_all_seeds_and_again_when_it_changed(npz, monkeypatch):
    reads = []
    real = np.load
    monkeypatch.setattr(np, "load", lambda *args, **kwargs: reads.append(args) or real(*args, **kwargs))
    text = npz()
    assert load(text, 0) is load(text, 1)
    assert load(text, 0).train.pixels is load(f"{text}@modified", 5).train.pixels
    assert len(reads) == 1
    npz(y_train=np.arange(40) % 5)
    assert len(load(text).classes) == 5


@pytest.mark.parametrize(
    ("more", "mirrored"),
    [
        ({"classes": np.array(list("01234"))}, False),
        ({"class_names": np.array(["0", "1", "2", "3", "cat"])}, True),
        ({"flip": np.array(False)}, False),
        ({"classes": np.array(list("01234")), "flip": np.array(True)}, True),
    ],
)
def test_a_file_that_names_digits_or_says_so_is_not_mirrored(npz, more, mirrored):
    assert load(npz(y_train=np.arange(40) % 5, **more)).train.flip is mirrored


def test_a_flip_that_is_no_yes_or_no_is_refused(npz):
    with pytest.raises(DatasetError, match="flip has type int64 and shape"):
        load(npz(flip=np.array(3)))


def test_folders_of_digits_are_not_mirrored(colors):
    for number, path in enumerate(sorted(colors.iterdir())):
        path.rename(path.with_name(str(number)))
    assert not load(f"folder:{colors}").train.flip


def test_flip_is_a_property_of_the_data_that_can_be_set(npz, colors):
    sets = ["digits", npz(), f"folder:{colors}"]
    assert [load(text).train.flip for text in sets] == [False, True, True]
    assert [load(f"{text}@flip").test.flip for text in sets] == [True, True, True]
    assert not load(f"{sets[1]}@modified@no-flip").train.flip


@pytest.mark.parametrize(
    "text", ["cifar", "digit", "digits:8", "npz", "npz:", "folder", "", "digits@", "digits@modifed", "npz@modified"]
)
def test_an_unknown_name_lists_what_there_is(text):
    with pytest.raises(UnknownName, match=rf"{re.escape(repr(text))}.*digits, cifar10, .*npz:FILE, folder:FOLDER"):
        load(text)


def test_only_a_folder_has_a_size_to_choose(colors):
    with pytest.raises(BadSetting, match="image_size"):
        load("digits@64")
    with pytest.raises(BadSetting, match="from 8 to 512"):
        load(f"folder:{colors}@4")


def test_the_digits_are_scikit_learns_in_bytes():
    data = load_digits()
    pixels, classes = digits_images()
    assert (pixels / 255 * 16).round().astype(int).tolist() == data.images.astype(int).tolist()
    assert classes.tolist() == data.target.tolist()


def test_half_of_every_digit_is_held_out():
    digits = load("digits")
    counts = [np.bincount(classes) for classes in (digits.train_classes, digits.test_classes)]
    assert np.abs(counts[0] - counts[1]).max() <= 1
    assert digits_images()[1][digits.test.ids].tolist() == digits.test_classes.tolist()
    assert (digits.train.take(digits.train.ids[:3])[..., 0] == digits_images()[0][digits.train.ids[:3]]).all()


def test_the_arrays_of_a_file_are_its_images_and_classes(npz):
    found, given = load(npz()), arrays()
    assert (found.train.take(found.train.ids) == given["x_train"]).all()
    assert (found.test.take(found.test.ids) == given["x_test"]).all()
    assert found.train_classes.tolist() == given["y_train"].tolist()
    assert found.test_classes.tolist() == given["y_test"].tolist()
    assert found.classes == ("0", "1", "2", "3")


@pytest.mark.parametrize("shape", [(40, 8, 8), (40, 8, 8, 1)])
def test_grey_images_have_three_equal_channels_and_take_the_memory_of_one(npz, shape):
    grey = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    found = load(npz(x_train=grey)).train
    assert (found.take(found.ids) == grey.reshape(40, 8, 8, 1)).all()
    assert found.pixels.strides[-1] == 0


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int32", "uint64", ">i4"])
def test_labels_may_be_any_integers_in_a_column_and_need_not_begin_at_zero(npz, kind):
    y = (np.arange(40) % 4 + 1).astype(kind)
    found = load(npz(y_train=y[:, None], y_test=y[:10]))
    assert found.train_classes.tolist() == (y - 1).tolist()
    assert found.classes == ("1", "2", "3", "4")


@pytest.mark.parametrize("key", ["classes", "class_names"])
def test_classes_may_have_names(npz, key):
    assert load(npz(**{key: np.array(["cat", "dog", "hen", "owl"])})).classes == ("cat", "dog", "hen", "owl")


X, Y = arrays()["x_train"], arrays()["y_train"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"y_test": None}, "no array 'y_test'"),
        ({"x_train": X / 255}, "x_train is of type float64"),
        ({"x_train": X.transpose(0, 3, 1, 2)}, r"x_train has shape \(40, 3, 8, 8\)"),
        ({"x_train": X[0, 0]}, r"x_train has shape \(8, 3\)"),
        ({"x_train": X[:39]}, "39 images, y_train has 40"),
        ({"x_train": X[:, :4]}, "4 x 8, x_test of 8 x 8"),
        ({"x_train": X[:, :0], "x_test": X[:10, :0]}, "has shape"),
        ({"y_train": Y.astype(float)}, "y_train is of type float64"),
        ({"y_train": Y.astype(str)}, "y_train is of type"),
        ({"y_train": np.eye(4, dtype=int)[Y]}, r"y_train has shape \(40, 4\)"),
        ({"y_train": np.int64(3)}, r"y_train has shape \(\)"),
        ({"y_test": np.arange(10)}, "y_test has the class 4,"),
        ({"y_train": Y * 0, "y_test": np.zeros(10, int)}, "two classes"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "no training image"),
        ({"x_test": X[:0], "y_test": Y[:0]}, "test part has no images"),
        ({"classes": np.array(["a", "b", "c"])}, "class 3,"),
        ({"classes": np.array(["a", "b", "c", "d", "e"])}, "'e' has 0 training images"),
        ({"classes": np.array(["a", "b", "b", "d"])}, "same name"),
        ({"classes": np.array(["a", "b", None, "d"], dtype=object)}, "plain arrays"),
    ],
)
def test_arrays_that_cannot_be_used_are_named(npz, changed, said):
    with pytest.raises(DatasetError, match=said) as caught:
        load(npz(**changed))
    assert "some.npz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_not_opened(npz):
    with pytest.raises(DatasetError, match="plain arrays"):
        load(npz(y_train=np.array([{}] * 40, dtype=object)))


@pytest.mark.parametrize("content", [None, b"", b"hello", b"PK\x03\x04broken", "npy", "cut"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, npz, content):
    path = tmp_path / "x.npz"
    if content == "npy":
        with path.open("wb") as file:
            np.save(file, X)
    elif content == "cut":
        npz()
        path.write_bytes((tmp_path / "some.npz").read_bytes()[:-400])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"x\.npz"):
        load(f"npz:{path}")


@pytest.mark.parametrize(("option", "side"), [("", 32), ("@16", 16), ("@64@modified", 64)])
def test_a_folder_of_any_sizes_is_brought_to_one(colors, option, side):
    found = load(f"folder:{colors}{option}")
    assert found.classes == ("blue", "red")
    assert found.train.pixels.shape == (20, side, side, 3)
    ids, classes = found.test.ids, found.test_classes
    assert (found.test.take(ids).reshape(len(ids), -1, 3).argmax(axis=2) == np.where(classes, 0, 2)[:, None]).all()
    assert np.bincount(classes).tolist() == [5, 5]


def test_a_folder_with_train_and_test_keeps_that_division(tmp_path):
    for part, number in (("train", 4), ("test", 3)):
        for name in ("blue", "red"):
            for index in range(number):
                paint(tmp_path / part / name / f"{index}.JPG", name)
    (tmp_path / "train" / "red" / ".hidden.png").write_bytes(b"")
    (tmp_path / "train" / "red" / "notes.txt").write_bytes(b"")
    found = load(f"folder:{tmp_path}", 7)
    assert (np.bincount(found.train_classes).tolist(), np.bincount(found.test_classes).tolist()) == ([4, 4], [3, 3])
    assert found.train.ids.tolist() == load(f"folder:{tmp_path}", 8).train.ids.tolist()


def test_images_are_cropped_turned_and_put_on_white(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    halves = Image.new("RGB", (40, 40), "black")
    halves.paste("white", (0, 0, 40, 20))
    halves.save(tmp_path / "turned.png", exif=exif)
    Image.new("RGBA", (9, 9), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.fromarray(np.full((9, 9), 2**15, np.uint16)).save(tmp_path / "deep.png")
    from learner.datasets.folder import read

    turned = read(tmp_path / "turned.png", 40)
    assert (turned[:19] == 0).all()
    assert (turned[21:] == 255).all()
    assert (read(tmp_path / "clear.png", 9) == 255).all()
    assert (read(tmp_path / "deep.png", 9) == 128).all()


def test_folders_that_cannot_be_used_are_named(tmp_path, colors):
    def refused(path, said):
        with pytest.raises(DatasetError, match=said) as caught:
            load(f"folder:{path}")
        assert path.name in str(caught.value)

    refused(tmp_path / "nowhere", "not a folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no folder in it")
    paint(tmp_path / "lone" / "train" / "red" / "1.png", "red")
    refused(tmp_path / "lone", "no test/CLASS")
    for number in range(2):
        paint(tmp_path / "single" / "red" / f"{number}.png", "red")
    refused(tmp_path / "single", "two classes")
    (tmp_path / "single" / "void").mkdir()
    refused(tmp_path / "single", "'void' has 0 training images")
    paint(tmp_path / "single" / "void" / "1.png", "red")
    refused(tmp_path / "single", "'void' has 1 training images")
    (colors / "red" / "5.png").write_bytes(b"not a picture")
    refused(colors, r"5\.png in red")


def test_a_test_class_that_nothing_trains_is_named(tmp_path):
    for name in ("train/red", "train/blue", "test/red", "test/green"):
        paint(tmp_path / name / "1.png", "red")
    with pytest.raises(DatasetError, match="test has the class 'green'"):
        load(f"folder:{tmp_path}")
