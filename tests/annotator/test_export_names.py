"""Names that every file system takes."""

import time

from hypothesis import given
from hypothesis import strategies as st

from annotator.export.names import Names, safe_stem, split_suffix


@given(st.text(max_size=300))
def test_a_safe_name_is_one_plain_component(text):
    for name in (safe_stem(text), "".join(split_suffix(text))):
        assert name not in ("", ".", "..")
        assert not set(name) & set('<>:"/\\|?*\0\n')
        assert not name.startswith(".")
        assert not name.endswith((" ", "."))
        assert len(name.encode()) <= 200


@given(st.lists(st.sampled_from(["a", "A", "a-2", "ß", "SS", "b"]), max_size=30))
def test_taken_names_are_never_given_again(stems):
    names = Names()
    given_names = [names.take(stem, ".png") for stem in stems]
    assert len({name.casefold() for name in given_names}) == len(stems)


def test_a_name_taken_very_often_stays_quick():
    names = Names()
    start = time.perf_counter()
    assert len({names.take("img", ".png") for _ in range(20_000)}) == 20_000
    assert time.perf_counter() - start < 5
