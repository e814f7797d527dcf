"""Measures of agreement, against scikit-learn, a brute force over pairs, and the tables of the papers."""

import random
from collections import Counter
from itertools import permutations

import pytest
from sklearn.metrics import cohen_kappa_score

from annotator import agreement

# Fleiss 1971, table 1: 30 patients, each diagnosed by six of the psychiatrists, into five categories; kappa 0.430
FLEISS_1971 = [
    (0, 0, 0, 6, 0), (0, 3, 0, 0, 3), (0, 1, 4, 0, 1), (0, 0, 0, 0, 6), (0, 3, 0, 3, 0), (2, 0, 4, 0, 0),
    (0, 0, 4, 0, 2), (2, 0, 3, 1, 0), (2, 0, 0, 4, 0), (0, 0, 0, 0, 6), (1, 0, 0, 5, 0), (1, 1, 0, 4, 0),
    (0, 3, 3, 0, 0), (1, 0, 0, 5, 0), (0, 2, 0, 3, 1), (0, 0, 5, 0, 1), (3, 0, 0, 1, 2), (5, 1, 0, 0, 0),
    (0, 2, 0, 4, 0), (1, 0, 2, 0, 3), (0, 0, 0, 0, 6), (0, 1, 0, 5, 0), (0, 2, 0, 1, 3), (2, 0, 0, 4, 0),
    (1, 0, 0, 4, 1), (0, 5, 0, 1, 0), (4, 0, 0, 0, 2), (0, 2, 0, 4, 0), (1, 0, 5, 0, 0), (0, 0, 0, 0, 6),
]  # fmt: skip
# Krippendorff 2011, example C: four observers, twelve units, five values, some missing; nominal alpha 0.743
KRIPPENDORFF_2011 = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]


def counted(images: list[list[int]]) -> agreement.Units:
    return Counter(tuple(sorted(each)) for each in images)


def said(seed: int, least: int, most: int, classes: int = 4) -> list[list[int]]:
    """What people who are right three times out of four said of sixty images."""
    rng = random.Random(seed)
    found = []
    for _ in range(60):
        truth = rng.randrange(classes)
        people = rng.randint(least, most)
        found.append([truth if rng.random() < 0.75 else rng.randrange(classes) for _ in range(people)])
    return found


@pytest.mark.parametrize("seed", range(5))
def test_kappa_of_two_people_is_that_of_scikit_learn(seed):
    pairs = said(seed, 2, 2)
    kappa = agreement.cohen(Counter((one, other) for one, other in pairs))
    assert kappa == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)))


def test_fleiss_kappa_of_the_table_of_1971():
    images = [[c for c, count in enumerate(row) for _ in range(count)] for row in FLEISS_1971]
    assert {len(each) for each in images} == {6}
    assert agreement.fleiss(counted(images)) == pytest.approx(0.430, abs=5e-4)


def test_alpha_of_the_example_of_2011():
    columns = zip(*(row.split() for row in KRIPPENDORFF_2011), strict=True)
    images = [[int(value) for value in column if value != "."] for column in columns]
    assert agreement.alpha(counted(images)) == pytest.approx(0.743, abs=5e-4)


def pairs_of(images: list[list[int]]) -> list[tuple[int, int, float]]:
    """(said, said by another of the same image, weight): every label weighs one."""
    return [(a, b, 1 / (len(each) - 1)) for each in images if len(each) > 1 for a, b in permutations(each, 2)]


@pytest.mark.parametrize("seed", range(5))
def test_alpha_is_one_minus_observed_over_expected_disagreement_of_all_pairs(seed):
    images = said(seed, 1, 5)
    observed = sum(weight for a, b, weight in pairs_of(images) if a != b)
    everything = [label for each in images if len(each) > 1 for label in each]
    expected = sum(a != b for a, b in permutations(everything, 2)) / (len(everything) - 1)
    assert agreement.alpha(counted(images)) == pytest.approx(1 - observed / expected)


@pytest.mark.parametrize("seed", range(5))
def test_fleiss_kappa_is_what_pairs_agree_beyond_draws_with_replacement(seed):
    images = said(seed, 3, 3)
    pairs = [(a, b) for each in images for a, b in permutations(each, 2)]
    observed = sum(a == b for a, b in pairs) / len(pairs)
    everything = [label for each in images for label in each]
    chance = sum(a == b for a in everything for b in everything) / len(everything) ** 2
    assert agreement.fleiss(counted(images)) == pytest.approx((observed - chance) / (1 - chance))


@pytest.mark.parametrize("measure", [agreement.alpha, agreement.fleiss])
def test_perfect_agreement_is_one(measure):
    assert measure({(1, 1): 4, (2, 2): 3}) == pytest.approx(1)


@pytest.mark.parametrize("units", [{}, {(3, 3): 10}])
def test_what_is_not_defined_is_none_and_says_why(units):
    assert agreement.alpha(units) is agreement.fleiss(units) is agreement.cohen(units) is None
    assert agreement.meaning(None, agreement.images(units)) in (
        "no image has labels of two people yet",
        "everybody always said the same class, so chance alone explains it",
    )


def test_images_with_one_label_do_not_count():
    assert agreement.alpha({(1,): 100}) is None
    assert agreement.alpha({(1,): 100, (1, 2): 3, (2, 2): 5}) == agreement.alpha({(1, 2): 3, (2, 2): 5})
    assert agreement.images({(1,): 100, (1, 2): 3}) == 3


def test_fleiss_refuses_images_with_different_numbers_and_the_most_frequent_one_is_chosen():
    units = {(1, 1): 5, (1, 2): 2, (1, 1, 2): 3}
    with pytest.raises(ValueError, match="same number"):
        agreement.fleiss(units)
    assert agreement.of_one_size(units) == {(1, 1): 5, (1, 2): 2}
    assert agreement.of_one_size({}) == {}


@pytest.mark.parametrize(("value", "word"), [(0.8, "same by"), (0.7, "mostly"), (0.3, "do not"), (-0.1, "chance")])
def test_a_value_has_a_meaning_in_words(value, word):
    assert word in agreement.meaning(value, 100)
