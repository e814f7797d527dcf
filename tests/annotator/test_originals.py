"""Names of files as text, and opening nothing but the project's own files."""

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.originals import Unreadable, from_printable, open_image, open_original, printable


@given(st.binary(max_size=40) | st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_printable_names_are_reversible(path):
    assert from_printable(printable(path)) == path


def test_names_that_print_stay_as_they_are():
    assert printable("Größe 猫/été.JPG".encode()) == "Größe 猫/été.JPG"


@pytest.mark.parametrize(
    "path", [b"../a.png", b"b/../../a.png", b"/etc/hostname", b"link/a.png", b"a\0.png", b"", b".", b"gone"]
)
def test_nothing_outside_the_folder_can_be_opened(tmp_path, path):
    (tmp_path / "a.png").touch()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/link").symlink_to(tmp_path)
    with pytest.raises(Unreadable):
        open_original(tmp_path / "photos", path)


def test_an_image_is_opened_by_the_file_that_still_has_its_content(tmp_path):
    for name in (b"old", b"new"):
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    with open_image(tmp_path, [b"gone", b"old", b"new"], hashlib.sha256(b"new").hexdigest()) as file:
        assert file.read() == b"new"
    with pytest.raises(Unreadable, match="changed"):
        open_image(tmp_path, [b"gone", b"old"], hashlib.sha256(b"new").hexdigest())
