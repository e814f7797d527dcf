"""CIFAR, SVHN and OpenML: read as they are written, refused when tampered with, and long tails in closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from public_sets import EACH, fake_openml, write_cifar, write_svhn
from sklearn.model_selection import train_test_split
from torchvision import datasets as published

from learner import datasets
from learner.datasets import load
from learner.datasets.public import data_dir, octets, squares
from learner.datasets.source import tailed
from learner.errors import DatasetError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where downloaded files lie; there is no network."""
    datasets._source.cache_clear()
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", str(tmp_path))

    def unreachable(*args, **more):
        raise OSError("the network is unreachable")

    for module in ("cifar", "svhn"):
        for name in ("download_url", "download_and_extract_archive"):
            monkeypatch.setattr(f"torchvision.datasets.{module}.{name}", unreachable, raising=False)
    monkeypatch.setattr("torchvision.datasets.utils.download_url", unreachable)
    return tmp_path


@pytest.mark.parametrize(("name", "number"), [("CIFAR10", 10), ("CIFAR100", 100)])
def test_cifar_is_read_as_it_is_written(folder, monkeypatch, name, number):
    write_cifar(folder, name, monkeypatch)
    found = load(name.lower())
    assert found.classes == tuple(f"class {n}" for n in range(number))
    assert (len(found.train), len(found.test)) == (2 * EACH * number, EACH * number)
    images = found.train.take(found.train.ids)
    assert (images[:, 0, 0, 0] == found.train_classes).all()
    assert set(images[:, -1, -1, 2].tolist()) == {0, 1}  # both training files
    assert (found.test.take(found.test.ids)[:, -1, -1, 2] == 2).all()
    assert found.train.flip


def test_house_numbers_are_digits_and_not_mirrored(folder, monkeypatch):
    write_svhn(folder, monkeypatch)
    found = load("svhn")
    assert found.classes == tuple("0123456789")
    images = found.train.take(found.train.ids)
    assert (images[:, 0, 0, 0] == found.train_classes).all()  # 10 is 0
    assert (images[:, -1, -1, 2] == 0).all()
    assert (found.test.take(found.test.ids)[:, -1, -1, 2] == 1).all()
    assert not found.train.flip


def test_a_file_that_was_tampered_with_is_never_unpickled(folder, monkeypatch):
    write_cifar(folder, "CIFAR10", monkeypatch)
    path = folder / published.CIFAR10.base_folder / "first"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(folder / "harm").encode() + b"'\ntR.")
    with pytest.raises(DatasetError, match="not undamaged"):
        load("cifar10")
    assert not (folder / "harm").exists()


@pytest.mark.parametrize(
    ("name", "file"),
    [("cifar10", r"cifar-10-python\.tar\.gz or the folder cifar-10-batches-py"), ("cifar100", "cifar-100-python"),
     ("svhn", r"train_32x32\.mat and test_32x32\.mat")],
)  # fmt: skip
def test_without_files_and_network_the_error_says_what_to_put_where(folder, name, file):
    with pytest.raises(DatasetError, match=rf"{name} is not .* in {folder} .*unreachable; put {file}.*--data-dir"):
        load(name)


def test_without_a_variable_files_lie_in_the_users_cache(monkeypatch):
    monkeypatch.delenv("ANNOTATOR_DATA_DIR", raising=False)
    assert data_dir().parts[-3:] == (".cache", "annotator", "datasets")


def test_a_table_of_openml_is_split_stratified_by_the_seed(folder, monkeypatch):
    fake_openml(monkeypatch)
    found = load("openml:999", 3)
    assert found.classes == tuple("0123456789")
    assert set(np.bincount(found.test_classes).tolist()) == {2, 3}  # of 12 each
    everything = np.arange(120)
    expected = train_test_split(everything, test_size=0.2, stratify=everything % 10, random_state=3)[1]
    assert found.test.ids.tolist() == sorted(expected.tolist())
    assert (found.train.take(found.train.ids)[:, 0, 0, 0] == found.train_classes).all()


def test_digits_are_not_mirrored_wherever_they_come_from(folder, monkeypatch):
    write_svhn(folder, monkeypatch)
    # the test set of the canonical size is larger than this table
    monkeypatch.setattr("learner.datasets.public.TESTED", {})
    fake_openml(monkeypatch)
    sets = ["digits", "svhn", "svhn@modified", "openml:41081", "openml:41081@modified", "openml:554", "openml:41982"]
    assert [text for text in sets if load(text).train.flip or load(text).test.flip] == []
    assert load("openml:40927").train.flip
    assert load("openml:41081@flip").train.flip  # who says so is heard


@pytest.mark.long
def test_the_sets_of_the_study_hold_out_what_the_papers_do(folder, monkeypatch):
    fake_openml(monkeypatch, 30_000)
    assert len(load("openml:40927").test) == 10_000
    thinned = load("openml:40927@modified")
    assert len(thinned.test) == 10_000
    assert sorted(np.bincount(thinned.train_classes)) == [200] * 5 + [2000] * 5


def test_openml_without_a_network_says_so(folder, monkeypatch):
    def unreachable(**asked):
        raise OSError("no route to host")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", unreachable)
    with pytest.raises(DatasetError, match=r"openml:7 is not in .* no route to host; run this once"):
        load("openml:7")
    with pytest.raises(DatasetError, match="openml:seven is no number"):
        load("openml:seven")


def test_a_table_of_openml_is_read_once_and_kept_as_bytes(folder, monkeypatch):
    fake_openml(monkeypatch)
    first = load("openml:999")
    with np.load(folder / "openml" / "999.npz") as kept:
        assert (kept["features"].dtype, kept["features"].shape) == (np.uint8, (120, 3072))
        assert kept["targets"].tolist() == [str(n % 10) for n in range(120)]

    def asked(**what):
        raise AssertionError("it is asked for again")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", asked)
    datasets._source.cache_clear()  # as another process
    again = load("openml:999")
    assert again.classes == first.classes
    for part in ("train", "test"):
        old, new = (getattr(found, part) for found in (first, again))
        assert (old.take(old.ids) == new.take(new.ids)).all()
        assert (getattr(first, f"{part}_classes") == getattr(again, f"{part}_classes")).all()
    assert [path.name for path in (folder / "openml").iterdir()] == ["999.npz"]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_a_kept_table_that_is_damaged_is_read_again(folder, monkeypatch, content):
    fake_openml(monkeypatch)
    path = folder / "openml" / "999.npz"
    path.parent.mkdir()
    path.write_bytes(content)
    assert len(load("openml:999").train) == 96
    with np.load(path) as kept:
        assert len(kept["features"]) == 120


def test_a_table_that_cannot_be_kept_is_read_all_the_same(folder, monkeypatch):
    fake_openml(monkeypatch)
    (folder / "openml").write_text("a file where the folder should be")
    assert len(load("openml:999").train) == 96


def test_a_table_becomes_bytes_part_by_part_as_at_once(monkeypatch):
    monkeypatch.setattr("learner.datasets.public.CHUNK", 3)
    table = np.random.default_rng(0).uniform(0, 255, (8, 12))
    assert (octets(table, "x") == np.rint(table).astype(np.uint8)).all()
    for wrong in (256.0, -0.5, np.nan):
        table[7, 3] = wrong  # in the last part
        with pytest.raises(DatasetError, match="x has features outside of 0 to 255"):
            octets(table, "x")


def test_rows_are_squares_channel_by_channel():
    rgb = np.arange(12, dtype=np.uint8).reshape(1, 12)
    assert squares(rgb, "x")[0, 0, 0].tolist() == [0, 4, 8]
    assert squares(rgb, "x")[0, 1, 0].tolist() == [2, 6, 10]
    assert squares(np.arange(16, dtype=np.uint8).reshape(1, 16), "x")[0, 1, 1].tolist() == [5, 5, 5]
    with pytest.raises(DatasetError, match="rows of 7 features"):
        squares(np.zeros((2, 7), np.uint8), "x")


@given(st.integers(2, 12), st.integers(20, 60), st.sampled_from([10, 50, 100, 200]), st.integers(0, 9))
def test_a_long_tail_falls_exponentially_to_the_ratio(number, each, ratio, seed):
    classes = np.repeat(np.arange(number), each)
    kept = tailed(classes, ratio, seed)
    sizes = sorted(np.bincount(classes[kept], minlength=number), reverse=True)
    assert sizes == [max(1, round(each * ratio ** (-rank / (number - 1)))) for rank in range(number)]
    assert (np.diff(kept) > 0).all()
    assert kept.tolist() == tailed(classes, ratio, seed).tolist()


def test_the_seed_draws_which_classes_are_rare():
    classes = np.repeat(np.arange(5), 40)
    orders = {tuple(np.argsort(np.bincount(classes[tailed(classes, 10, seed)]))) for seed in range(10)}
    assert len(orders) > 5


def test_a_long_tail_thins_the_training_part_alone_and_is_not_modified_too():
    plain, tail = load("digits", 1), load("digits@longtail10", 1)
    assert tail.test.ids.tolist() == plain.test.ids.tolist()
    assert set(tail.train.ids.tolist()) < set(plain.train.ids.tolist())
    counts = np.bincount(tail.train_classes)
    assert counts.max() / counts.min() == pytest.approx(10, rel=0.1)
    with pytest.raises(DatasetError, match="not both"):
        load("digits@longtail@modified")
