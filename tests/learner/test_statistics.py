"""Comparisons of strategies against scipy, closed forms, and worlds in which nothing differs."""

import math

import numpy as np
import pytest
from scipy import stats

from learner.benchmark.statistics import NotPaired, area, compare, holm, interval, paired_t, penalties, signed_ranks
from learner.errors import LearnerError


def rows(arms, budgets=(10, 20, 30), **columns):
    """{arm: (S, B) values} as rows of a simulation."""
    return [
        {"strategy": arm, "seed": seed, "labels": labels, "accuracy": float(value), **columns}
        for arm, values in arms.items()
        for seed, line in enumerate(values)
        for labels, value in zip(budgets, line, strict=True)
    ]


def noise(seeds=8, budgets=3, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(0.6 + shift, 0.05, (seeds, budgets))


def test_each_budget_is_tested_as_scipy_does_it():
    random, margin = noise(), noise(shift=0.03, seed=1)
    found = {item.labels: item for item in compare(rows({"random": random, "margin": margin}), "random")}
    for column, labels in enumerate((10, 20, 30)):
        a, b = margin[:, column], random[:, column]
        test = stats.ttest_rel(a, b)
        low, high = test.confidence_interval(0.95)
        assert found[labels].p_t == pytest.approx(test.pvalue)
        assert (found[labels].low, found[labels].high) == pytest.approx((low, high))
        assert found[labels].p_wilcoxon == pytest.approx(stats.wilcoxon(a, b).pvalue)
        assert found[labels].effect == pytest.approx(test.statistic / math.sqrt(8))
        assert found[labels].mean == pytest.approx(a.mean() - b.mean())
        assert found[labels].n == 8


def test_the_area_is_tested_as_scipy_does_it_and_comes_first():
    random, margin = noise(), noise(shift=0.03, seed=1)
    item = compare(rows({"random": random, "margin": margin}), "random")[0]
    areas = [(line[:, 0] / 2 + line[:, 1] + line[:, 2] / 2) / 2 for line in (margin, random)]
    assert item.labels is None
    assert item.p_t == item.p_holm == pytest.approx(stats.ttest_rel(*areas).pvalue)


def test_the_order_of_the_rows_does_not_matter():
    made = rows({"random": noise(), "margin": noise(seed=1)})
    shuffled = [made[i] for i in np.random.default_rng(0).permutation(len(made))]
    assert sorted(map(str, compare(made, "random"))) == sorted(map(str, compare(shuffled, "random")))


def test_pairing_finds_what_a_test_of_the_means_would_miss():
    base = np.linspace(0.3, 0.9, 6)[:, None]
    arms = {"random": base + 0.002 * noise(6, 1), "margin": base + 0.01 + 0.002 * noise(6, 1, seed=1)}
    assert compare(rows(arms, (10,)), "random")[0].p_t < 1e-4
    assert stats.ttest_ind(*(values[:, 0] for values in arms.values())).pvalue > 0.9


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == pytest.approx([1, 1])
    assert holm([0.02]) == pytest.approx([0.02])
    assert holm([]) == []


def test_holm_is_its_definition():
    for seed in range(20):
        p = np.random.default_rng(seed).random(7) ** 3
        stepwise = [max(min(1, (p >= q).sum() * q) for q in p if q <= mine) for mine in p]
        assert holm(p.tolist()) == pytest.approx(stepwise)


def test_the_two_families_are_corrected_apart():
    arms = {"random": noise(), "a": noise(seed=1), "b": noise(seed=2), "c": noise(seed=3)}
    found = compare(rows(arms), "random")
    families = [[item for item in found if (item.labels is None) == whole] for whole in (True, False)]
    assert [len(family) for family in families] == [3, 9]
    for family in families:
        assert [item.p_holm for item in family] == pytest.approx(holm([item.p_t for item in family]))


@pytest.mark.slow
def test_where_nothing_differs_one_test_in_twenty_says_so():
    rng = np.random.default_rng(0)
    found = np.array([paired_t(rng.normal(size=5)) for _ in range(4000)])
    assert (found < 0.05).mean() == pytest.approx(0.05, abs=0.01)
    ranks = np.array([signed_ranks(rng.normal(size=12)) for _ in range(3000)])
    assert (ranks < 0.05).mean() == pytest.approx(0.0425, abs=0.01)  # the levels of 2^12 signs are steps


@pytest.mark.slow
def test_where_nothing_differs_holm_keeps_one_family_in_twenty():
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(300):
        arms = {name: rng.normal(size=(6, 2)) for name in ("random", "a", "b", "c", "d")}
        found = compare(rows(arms, (10, 20)), "random")
        wrong += min(item.p_holm for item in found if item.labels) < 0.05
    assert wrong / 300 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    rng = np.random.default_rng(2)
    bounds = np.array([interval(rng.normal(3, 1, 6)) for _ in range(3000)])
    assert ((bounds[:, 0] < 3) & (bounds[:, 1] > 3)).mean() == pytest.approx(0.95, abs=0.012)


def test_the_least_difference_that_three_seeds_show_is_two_and_a_half_deviations():
    unit = np.array([-1.0, 0.0, 1.0])  # of standard deviation one
    assert paired_t(unit + 2.47) > 0.05 > paired_t(unit + 2.5)


def test_differences_without_spread_prove_nothing():
    same = noise(4)
    (area, *_) = compare(rows({"random": same, "margin": same}), "random")
    assert (area.mean, area.p_t, area.p_wilcoxon, area.effect) == (0, 1, 1, None)
    (area, *_) = compare(rows({"random": same, "margin": same + 0.1}), "random")
    assert (area.p_t, area.effect) == (1, None)


def test_the_area_is_the_mean_height():
    assert area([10, 20, 30], [0.2, 0.4, 0.9]) == pytest.approx((0.3 + 0.65) / 2)
    assert area([10, 20, 80], [0.2, 0.4, 0.9]) == area([10, 20, 30], [0.2, 0.4, 0.9])
    assert area([10, 20, 80], [0.2, 0.4, 0.9], "log2") == pytest.approx((0.3 * 1 + 0.65 * 2) / 3)
    assert area([10, 20, 80], [0.2, 0.4, 0.9], "labels") == pytest.approx((0.3 * 10 + 0.65 * 60) / 70)
    assert area([10], [0.7]) == 0.7
    assert area([1, 2, 5, 9], [0.5] * 4, "log2") == pytest.approx(0.5)


def test_only_budgets_that_all_runs_have_are_compared():
    made = rows({"random": noise(4), "margin": noise(4, seed=1)})
    lacking = [row for row in made if (row["strategy"], row["seed"], row["labels"]) != ("margin", 2, 10)]
    assert [item.labels for item in compare(lacking, "random")] == [None, 20, 30]
    with pytest.raises(LearnerError, match="no number of labels in common"):
        compare(rows({"a": noise(2, 1)}, (10,)) + rows({"b": noise(2, 1)}, (20,)), "a")


def test_seeds_that_are_not_paired_are_refused_by_name():
    made = rows({"random": noise(4), "margin": noise(3)})
    with pytest.raises(NotPaired, match="'random' has a run of seed 3, 'margin' has none"):
        compare(made, "random")
    with pytest.raises(NotPaired, match="'random' has a run of seed 3"):
        penalties(made, ())


def test_one_seed_is_refused():
    with pytest.raises(NotPaired, match="at least two seeds"):
        compare(rows({"random": noise(1), "margin": noise(1)}), "random")


def test_rows_of_two_settings_and_unknown_references_are_refused():
    made = rows({"random": noise(), "margin": noise(seed=1)})
    with pytest.raises(LearnerError, match="two rows of seed 0 and 10 labels"):
        compare(made + made, "random")
    with pytest.raises(LearnerError, match="'entropy' to compare with; there are random, margin"):
        compare(made, "entropy")


def test_the_matrix_counts_who_beats_whom():
    """Two settings: in one margin wins at both budgets that count, in the other nobody does."""
    base = np.tile([0.2, 0.4, 0.6, 0.8], (6, 1))
    jitter = np.random.default_rng(0).normal(0, 0.001, (3, 6, 4))
    budgets = (10, 20, 30, 40)
    won = rows({"random": base + jitter[0], "margin": base + 0.1 + jitter[1]}, budgets, dataset="a")
    level = rows({"random": base + jitter[0], "margin": base + jitter[0] + 1e-9}, budgets, dataset="b")
    found = penalties(won + level, ("dataset",))
    assert found.arms == ("random", "margin")
    assert found.matrix.tolist() == [[0, 0], [1, 0]]
    assert found.settings == 2
    assert found.losses == {"random": 0.5, "margin": 0}


def test_budgets_count_until_random_is_saturated():
    """Of the budgets 1, 2 and 4 queries after the first, which all share, random has 99 % of its end at the last."""
    line = np.array([0.1, 0.5, 0.6, 0.7, 0.899, 0.9])
    up = np.array([0, 0.1, 0, 0, 0.1, 0.1])
    jitter = np.random.default_rng(0).normal(0, 1e-4, (2, 5, 6))
    jitter[:, :, 0] = 0
    made = rows({"random": line + jitter[0], "margin": line + up + jitter[1]}, range(10, 70, 10))
    assert penalties(made, ()).matrix[1, 0] == pytest.approx(1 / 2)
    assert penalties(made, (), doubling=False).matrix[1, 0] == pytest.approx(1 / 3)
    assert penalties(made, (), reference="nobody").matrix[1, 0] == pytest.approx(2 / 3)


def jittered(line, budgets, up=0.0, seed=0, **columns):
    """Five seeds of random and of typiclust, which is `up` above it and shares none of its images."""
    jitter = np.random.default_rng(seed).normal(0, 1e-4, (2, 5, len(line)))
    return rows({"random": line + jitter[0], "typiclust": line + np.array(up) + jitter[1]}, budgets, **columns)


@pytest.mark.parametrize(
    ("line", "up", "share"),
    [
        ([0.4, 0.7, 0.8], [0.1, 0, 0], 1 / 3),  # it rose to the end: every budget counts
        ([0.4, 0.7, 0.8], [0, 0, 0.1], 1 / 3),
        ([0.4, 0.7, 0.705], [0.1, 0, 0.1], 1),  # at its end from the second on: the first alone counts
        ([0.7, 0.7, 0.7], [0.1, 0, 0], 1),  # it never rose: one budget counts all the same
        ([0.4, 0.8, 0.7], [0.1, 0.1, 0], 1),
    ],
)
def test_one_query_of_each_size_counts_from_the_first_to_where_random_stops_rising(line, up, share):
    assert penalties(jittered(line, (100, 1000, 3000), up), ()).matrix[1, 0] == pytest.approx(share)


def test_budgets_that_double_by_themselves_all_count():
    line = np.array([0.3, 0.4, 0.5, 0.6, 0.7])
    for number in range(5):
        up = 0.1 * (np.arange(5) == number)
        assert penalties(jittered(line, (10, 20, 50, 100, 200), up), ()).matrix[1, 0] == pytest.approx(1 / 5)


def test_all_labels_that_everybody_has_are_no_contest():
    made = jittered([0.3, 0.5, 0.9], (10, 20, 500), [0.1, 0, 0])
    for row in made:
        row["accuracy"] = 0.9 + row["seed"] / 1000 if row["labels"] == 500 else row["accuracy"]
    assert penalties(made, ()).matrix[1, 0] == pytest.approx(1 / 2)


def test_who_met_in_few_settings_only_is_counted_as_if_in_all():
    """Two settings; typiclust wins everywhere, and stands in one of them only."""
    made = jittered([0.4, 0.6], (10, 20), 0.1, dataset="a")
    made += [row | {"strategy": "margin"} for row in made if row["strategy"] == "random"]
    made += [row | {"dataset": "b"} for row in made if row["strategy"] != "typiclust"]
    found = penalties(made, ("dataset",))
    assert found.arms == ("random", "typiclust", "margin")
    assert found.met.tolist() == [[2, 1, 2], [1, 1, 1], [2, 1, 2]]
    assert found.matrix.tolist() == [[0, 0, 0], [1, 0, 1], [0, 0, 0]]
    assert found.losses == pytest.approx({"random": 2 / 3, "typiclust": 0, "margin": 2 / 3})


def test_in_a_null_world_an_arm_is_beaten_once_in_forty():
    rng = np.random.default_rng(3)
    made = []
    for setting in range(200):
        arms = {name: rng.normal(0.5, 0.01, (6, 3)) for name in ("a", "b", "c")}
        made += rows(arms, dataset=setting)
    found = penalties(made, ("dataset",), reference="none")
    assert found.matrix[~np.eye(3, dtype=bool)].mean() / 200 == pytest.approx(0.025, abs=0.008)


def test_a_matrix_needs_two_arms():
    with pytest.raises(LearnerError, match="at least two arms"):
        penalties(rows({"random": noise()}), ())
