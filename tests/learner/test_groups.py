"""What may be compared: nothing that differs in a setting is averaged, and nothing that is the same stands twice."""

from collections import Counter

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from learner.benchmark.groups import by_model, by_setting, imbalanced
from learner.benchmark.plot import _levels, last_counts
from learner.benchmark.report.page import main_value
from learner.benchmark.report.tables import model_tables, overall_tables, selection_table, tables
from learner.benchmark.statistics import by_arm, compare
from learner.benchmark.study import ALL, cells
from learner.benchmark.summary import curves, in_the_end
from learner.datasets import load
from learner.errors import LearnerError
from learner.settings import as_dict
from learner.simulate import run_cell


def rows(grid, images=(90, 90), gain=None, seconds=0.0):
    """Rows of the cells of a grid, with every setting as a simulation writes it, accuracies made up."""
    rng = np.random.default_rng(0)
    found = []
    for cell in cells({"seeds": 3} | grid, seconds):
        loop = as_dict(cell.settings)
        totals = loop["budgets"] or range(loop["query_size"], loop["budget"] + 1, loop["query_size"])
        for number, total in enumerate(totals, 1):
            labels = min(total, sum(images))
            told = cell.describe()
            value = 0.5 + labels / 1000 + (gain or {}).get(told["strategy"], 0) + rng.normal(0, 0.01)
            found.append(told | {
                "round": number, "rounds": len(totals), "labels": labels, "accuracy": value, "balanced_accuracy": value,
                "macro_f1": value - 0.1, "labels_per_class": [labels - labels // 2, labels // 2],
                "images_per_class": list(images), "classes_seen": 2, "total_variation": 0.1, "coverage_radius": 1.5,
                "train_seconds": 0.5, "predict_seconds": 0.1, "select_seconds": 0.2,
                "human_seconds": labels * cell.seconds_per_label,
                "settings": {"method": as_dict(cell.method.settings), "strategy": as_dict(cell.strategy.settings),
                             "loop": loop},
            })  # fmt: skip
    return found


def once(group, by="strategy"):
    """Has every arm one row of each seed and number of labels?"""
    return set(Counter((row[by], row["seed"], row["labels"]) for row in group).values()) == {1}


BOTH = {"strategy": ["random", "margin"], "budgets": [[10], [20]]}


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        ({}, {"cold_start": "kmeans"}, {"cold_start=random", "cold_start=kmeans"}),
        ({}, {"method_settings": {"propagate": {"neighbors": 5}}}, {"neighbors=0", "neighbors=5"}),
        ({}, {"loop": {"class_quota": 0.5}}, {"class_quota=0.0", "class_quota=0.5"}),
        ({"budgets": [[10]]}, {"budgets": [10, 20]}, {"each budget on its own", "budgets=10,20"}),
        ({"budgets": [10, 20]}, {"budgets": [10, "all"]}, {"budgets=10,20", "budgets=10,all"}),
        ({"budgets": (), "budget": 20}, {"budgets": (), "budget": 30}, {"budget=20", "budget=30"}),
    ],
)
def test_settings_that_differ_within_a_strategy_are_groups_of_their_own(one, other, names):
    made = rows(BOTH | one) + rows(BOTH | other)
    groups = by_setting(made)
    assert {name.partition(", pca, ")[2].removeprefix("10 at once, ") for name in groups} == names
    assert all(once(group) for group in groups.values())
    assert sum(map(len, groups.values())) == len(made)
    for group in groups.values():
        assert compare(group, "random")


def test_another_time_for_each_label_is_another_group():
    groups = by_setting(rows(BOTH, seconds=1.0) + rows(BOTH, seconds=2.5))
    assert [name.partition(", pca, ")[2] for name in groups] == ["seconds_per_label=1", "seconds_per_label=2.5"]


def test_a_strategy_with_two_values_of_a_setting_is_two_arms_of_one_group():
    few, many = ({"strategy": "kmeans", "strategy_settings": {"kmeans": {"starts": n}}} for n in (1, 7))
    (group,) = by_setting(rows(BOTH) + rows(BOTH | few) + rows(BOTH | many)).values()
    assert {row["strategy"] for row in group} == {"random", "margin", "kmeans (starts=1)", "kmeans (starts=7)"}
    assert once(group)


def test_strategies_that_a_label_tells_apart_stay_in_one_group():
    made = rows(BOTH) + rows(BOTH | {"label": "quota", "loop": {"class_quota": 0.5}, "cold_start": "kmeans"})
    assert [{row["strategy"] for row in group} for group in by_setting(made).values()] == [
        {"random", "margin", "random (quota)", "margin (quota)"}
    ]


def test_rows_that_say_nothing_of_their_settings_are_not_taken_for_the_same():
    bare = [{key: value for key, value in row.items() if key != "settings"} for row in rows(BOTH)]
    (group,) = by_setting(bare + bare).values()
    with pytest.raises(LearnerError, match="two rows of seed 0 and 10 labels"):
        by_arm(group)


def test_all_and_a_number_that_no_data_set_has_are_one_point():
    (group,) = by_setting(rows(BOTH | {"budgets": [[10], [800], ["all"]]})).values()
    assert once(group)
    points = curves(group)["random",]
    assert [(point.labels, point.is_all, point.n) for point in points] == [(10, False, 3), (180, True, 3)]


def test_all_labels_of_rows_that_count_no_images_are_known_by_their_budget():
    made = [row | {"images_per_class": None} for row in rows(BOTH | {"budgets": [[10], [800], ["all"]]})]
    assert max(made[-1]["settings"]["loop"]["budgets"]) == ALL
    (group,) = by_setting(made).values()
    assert once(group)


def test_all_labels_of_sets_of_several_sizes_are_one_point_at_their_mean():
    sizes = {0: (90, 10), 1: (90, 12), 2: (90, 8)}
    made = [row for seed, images in sizes.items() for row in rows(BOTH | {"budgets": [[10], ["all"]]}, images)
            if row["seed"] == seed]  # fmt: skip
    assert {row["labels"] for row in made} == {10, 98, 100, 102}
    (group,) = by_setting(made).values()
    last = curves(group)["random",][-1]
    assert (last.labels, last.n, last.is_all) == (100, 3, True)
    table = tables(group, "accuracy")[0]
    assert table.columns == ("strategy", "10", "all (100)")
    assert compare(group, "random")[-1].labels == 100
    labelled = rows(BOTH | {"budgets": [[100]]}, (90, 12))  # 100 is a budget of its own there
    (group,) = by_setting(made + labelled).values()
    assert once(group)
    assert [point.labels for point in curves(group)["random",]] == [10, 100, 101]


def test_a_run_counts_the_images_of_its_classes():
    (cell,) = cells({"dataset": "digits@modified", "budgets": [["all"]], "seeds": [1]})
    (row,) = run_cell(cell)
    classes = load("digits@modified", 1).train_classes
    assert row["images_per_class"] == [int((classes == c).sum()) for c in range(10)]
    assert row["labels"] == len(classes)


def test_only_methods_without_features_join_every_kind_of_them():
    bare = [row | {"method": "frozen", "preset": "", "features": ""} for row in rows(BOTH | {"strategy": "random"})]
    seen = [row | {"features": text} for text in ("timm:a", "timm:b") for row in bare]
    groups = by_setting(bare + seen)
    assert list(groups) == ["digits, frozen", "digits, frozen, timm:a", "digits, frozen, timm:b"]
    assert all(once(group) for group in groups.values())
    groups = by_setting([row | {"method": "fixmatch"} for row in bare + seen if row["features"] or row["seed"]])
    assert list(groups) == ["digits, fixmatch, timm:a", "digits, fixmatch, timm:b"]


def test_what_was_asked_is_looked_at_where_all_strategies_are():
    made = rows({"strategy": ["random", "margin"], "budgets": [[10], [20]]})
    made += rows({"strategy": "random", "budgets": [["all"], [40]]})
    (group,) = by_setting(made).values()
    assert {name: {row["labels"] for row in own} for name, own in in_the_end(group).items()} == {
        "random": {20}, "margin": {20}
    }  # fmt: skip
    table = selection_table(group)
    assert [line[:2] for line in table.rows] == [("random", "20"), ("margin", "20")]
    assert "At 20 labels, the most that all strategies have" in table.note
    assert {name: counts.tolist() for name, counts in last_counts(group).items()} == {
        "random": [10, 10], "margin": [10, 10]
    }  # fmt: skip


def test_without_a_number_in_common_each_strategy_is_looked_at_where_it_ends():
    made = rows({"strategy": "random", "budgets": [[10], [20]]}) + rows({"strategy": "margin", "budgets": [[12], [30]]})
    table = selection_table(made)
    assert [line[:2] for line in table.rows] == [("random", "20"), ("margin", "30")]
    assert "Each strategy at its own most labels" in table.note


def test_who_asked_for_everything_chose_nothing_but_may_be_alone():
    (group,) = by_setting(rows({"strategy": ["random", "margin"], "budgets": [["all"]]})).values()
    assert {row["labels"] for own in in_the_end(group).values() for row in own} == {180}


MODELS = {"method": "fixmatch", "preset": ["paper", "study-2021"], "budgets": [[40], [100]], "seeds": 5}


def test_models_of_one_data_set_and_strategy_are_tested_pair_by_pair():
    made = rows(MODELS | {"strategy": ["random", "kmeans"]})
    groups = by_model(made)
    assert list(groups) == ["digits, random", "digits, kmeans"]
    group = groups["digits, random"].rows
    assert {row["model"] for row in group} == {"fixmatch, paper", "fixmatch, study-2021"}
    found = {table.name: table for table in model_tables(group, "accuracy")}
    random = [row for row in made if row["strategy"] == "random"]
    areas = {
        preset: [
            np.mean([r["accuracy"] for r in random if (r["preset"], r["seed"]) == (preset, seed)]) for seed in range(5)
        ]
        for preset in ("paper", "study-2021")
    }
    difference = 100 * (np.mean(areas["paper"]) - np.mean(areas["study-2021"]))
    star = " *" if stats.ttest_rel(areas["paper"], areas["study-2021"]).pvalue < 0.05 else ""
    assert found["pairs"].rows[0][2].startswith(f"{difference:+.1f}{star} (")
    assert {line[0] for line in found["areas"].rows} == {"fixmatch, paper", "fixmatch, study-2021"}


def test_a_single_model_is_no_comparison():
    assert by_model(rows(BOTH)) == {}


def test_full_labels_of_a_model_are_those_of_whoever_asked_for_them():
    made = rows(MODELS | {"strategy": ["random", "kmeans"]}) + rows(MODELS | {"budgets": [["all"]]})
    for found in by_model(made).values():
        full = curves(found.full, ("model",))
        assert {model: [(p.labels, p.n) for p in points] for (model,), points in full.items()} == {
            "fixmatch, paper": [(180, 5)], "fixmatch, study-2021": [(180, 5)]
        }  # fmt: skip


def test_full_labels_under_other_settings_are_not_those_of_the_model():
    few = {"method_settings": {"fixmatch": {"steps": 1}}}
    made = rows(MODELS | {"strategy": "kmeans"}) + rows(MODELS | {"budgets": [["all"]]} | few)
    assert by_model(made)["digits, kmeans"].full == []


def test_full_labels_lie_across_in_the_colour_of_their_model():
    axes = Figure().subplots()
    _levels(axes, ["a", "b"], {"b": 0.9})
    line = axes.lines[0]
    assert (list(line.get_ydata()), line.get_color()) == ([90, 90], "#E69F00")


def test_features_divide_models_only_where_strategies_alone_see_them():
    made = [row | {"features": text} for text in ("timm:a", "timm:b") for row in rows(MODELS | {"strategy": "kmeans"})]
    assert list(by_model(made)) == ["digits, kmeans, timm:a", "digits, kmeans, timm:b"]
    frozen = [row | {"method": "frozen", "preset": "", "features": text} for text in ("timm:a", "timm:b")
              for row in rows(BOTH | {"strategy": "random"})]  # fmt: skip
    (found,) = by_model(frozen).values()
    assert {row["model"] for row in found.rows} == {"frozen, timm:a", "frozen, timm:b"}


def test_a_model_with_two_values_of_a_setting_is_two_models():
    made = [row for steps in (100, 200) for row in rows(MODELS | {"method_settings": {"fixmatch": {"steps": steps}}})]
    (found,) = by_model(made).values()
    assert len({row["model"] for row in found.rows}) == 4
    assert once(found.rows, "model")


@pytest.mark.parametrize(
    ("dataset", "images", "value"),
    [
        ("svhn", [4659, 13861, 10585], "balanced_accuracy"),  # as it is: digits of house numbers are not alike
        ("digits", [87, 91, 89], "accuracy"),
        ("npz:x.npz", [100, 50], "balanced_accuracy"),
        ("npz:x.npz", [100, 51], "accuracy"),
        ("project:abc", [60, 0, 55], "accuracy"),  # a class without images has nothing to learn
        ("digits@modified", None, "balanced_accuracy"),
        ("digits", None, "accuracy"),
        ("npz:x.npz@modified", [20, 20, 20], "accuracy"),
    ],
)
def test_what_a_set_is_judged_by_is_decided_by_its_classes(dataset, images, value):
    row = {"dataset": dataset, "images_per_class": images}
    assert main_value([row]) == value
    assert imbalanced([row]) == (value == "balanced_accuracy")


def test_macro_f1_stands_beside_where_classes_are_uneven():
    even, uneven = ({table.name: table for table in tables(rows(BOTH, images), "balanced_accuracy")}
                    for images in ((90, 90), (90, 9)))  # fmt: skip
    assert "macro_f1" not in even
    first = [float(table.rows[0][1].split()[0]) for table in (uneven["budgets"], uneven["macro_f1"])]
    assert first[0] - first[1] == pytest.approx(10, abs=0.11)
    assert "macro_f1" not in {table.name for table in tables(rows(BOTH, (90, 9)), "macro_f1")}


def test_over_all_settings_it_is_counted_who_wins():
    groups = [rows(BOTH | {"seeds": 6, "dataset": name}, gain={"margin": up})
              for name, up in (("digits", 0.1), ("digits@modified", 0.1), ("svhn", -0.1))]  # fmt: skip
    (table,) = overall_tables([(group, "accuracy") for group in groups])
    assert table.columns == ("beats", "random", "margin")
    assert table.rows[:2] == (("random", "0.00", "1.00"), ("margin", "2.00", "0.00"))
    assert "3 settings" in table.note
    single = [row for row in groups[0] if row["seed"] == 0]
    (table,) = overall_tables([(group, "accuracy") for group in (*groups[:2], single)])
    assert "nothing could be tested there: 1 more" in table.note
    assert overall_tables([(groups[0], "accuracy")]) == []
