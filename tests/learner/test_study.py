"""Studies: grids in TOML become cells, and what a file cannot mean is said."""

import tomllib
from collections import Counter
from functools import cache

import numpy as np
import pytest

from learner.benchmark import study as studies
from learner.benchmark.statistics import compare
from learner.benchmark.study import ALL, cells, read, study, with_seeds
from learner.config import as_dict
from learner.errors import BadSetting, LearnerError, UnknownName
from learner.simulate import run_cell


def test_a_grid_is_every_combination_of_its_lists():
    grid = {"dataset": ["digits", "digits@modified"], "strategy": ["random", "kmeans", "margin"], "seeds": [3, 5]}
    found = Counter((c.dataset, c.strategy.name, c.settings.seed) for c in cells(grid))
    assert len(found) == 2 * 3 * 2
    assert set(found.values()) == {1}


def test_equal_cells_of_two_grids_count_once():
    grid = {"strategy": ["random", "kmeans"], "seeds": 2}
    assert len(study({"grid": [grid, grid | {"strategy": "random"}]}).cells) == 4


def test_budgets_are_totals_or_several_lists_of_them():
    one = [c.settings.budgets for c in cells({"budgets": [10, 20], "seeds": 1})]
    assert one == [(10, 20)]
    several = [c.settings.budgets for c in cells({"budgets": [[10], [20], ["all"]], "seeds": 1})]
    assert several == [(10,), (20,), (ALL,)]


def test_all_labels_are_all_there_are():
    (cell,) = cells({"budgets": [["all"]], "seeds": 1})
    (row,) = run_cell(cell)
    assert row["labels"] == len(row["asked"]) == 898


def test_features_are_what_the_method_sees_and_else_what_a_strategy_that_looks_sees():
    grid = {"features": "pixels", "method": ["propagate", "basic"], "strategy": ["random", "kmeans"], "seeds": 1}
    found = {(c.method.name, c.strategy.name): c for c in cells(grid)}
    assert found["propagate", "random"].method.settings.features == "pixels"
    assert found["basic", "kmeans"].settings.features == "pixels"
    assert found["basic", "random"].settings.features == ""  # it looks at none, so it is the same run for all features


def test_a_preset_goes_to_the_methods_that_have_it_and_their_own_settings_win():
    grid = {
        "method": ["fixmatch", "basic"],
        "preset": "paper",
        "method_settings": {"fixmatch": {"steps": 7}},
        "seeds": 1,
    }
    fixmatch, basic = cells(grid)
    assert (fixmatch.method.settings.steps, fixmatch.method.settings.learning_rate) == (7, 0.03)
    assert basic.describe()["preset"] == ""


def test_a_label_tells_the_same_strategy_with_other_settings_apart():
    grid = {
        "strategy": "optics",
        "label": "euclidean",
        "strategy_settings": {"optics": {"metric": "euclidean"}},
        "seeds": 1,
    }
    (cell,) = cells(grid)
    assert cell.describe()["strategy"] == "optics (euclidean)"
    assert cell.strategy.settings.metric == "euclidean"


def test_fewer_seeds_are_the_first_ones():
    plan = with_seeds(read("smoke"), 1)
    assert {c.settings.seed for c in plan.cells} == {0}
    assert len(plan.cells) * 3 == len(read("smoke").cells)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "at least one"),
        ({"grid": [{"stratgy": "random"}]}, "'stratgy' of a grid; it has dataset"),
        ({"gird": []}, "'gird' of a study"),
        ({"grid": [{"strategy": "nothing"}]}, "unknown strategy 'nothing'"),
        ({"grid": [{"method_settings": {"basic": {}}}]}, "'basic' of method_settings; it has propagate"),
        ({"grid": [{"method_settings": {"propagate": {"depth": 3}}}]}, "unknown setting 'depth'"),
        ({"grid": [{"oracle": "god"}]}, "unknown oracle 'god'"),
        ({"grid": [{"dataset": "mnist"}]}, "unknown data set 'mnist'"),
    ],
)
def test_what_a_study_cannot_mean_is_said_before_anything_runs(values, said):
    with pytest.raises(LearnerError, match=said):
        study(values)


def test_a_study_that_is_nowhere_lists_those_that_are_shipped(tmp_path):
    with pytest.raises(UnknownName, match=r"smoke, .*, or give the path"):
        read("nothing")
    (tmp_path / "broken.toml").write_text("= 3")
    with pytest.raises(BadSetting, match=r"broken\.toml is no TOML file"):
        read(str(tmp_path / "broken.toml"))


@pytest.mark.parametrize("name", studies.names())
def test_every_shipped_study_asks_something_and_its_cells_are_different(name):
    plan = read(name)
    assert plan.title
    assert plan.question.endswith("?")
    assert len({cell.key for cell in plan.cells}) == len(plan.cells) >= 30


@cache
def sparse():
    return read("sparse-labels-2021")


def test_the_study_of_2021_has_every_cell_of_its_tables():
    found = {(c.dataset, c.method.name, c.strategy.name, c.settings.budgets) for c in sparse().cells}
    methods = ("fixmatch", "ssl", "basic", "transfer")
    passive = ("random", "kmeans", "kmeans_top", "kmeans_random", "coreset", "dbscan", "optics")
    for data, each in (("cifar10", 10), ("svhn", 10), ("cifar100", 100)):
        for variant in ("", "@modified"):
            for method in methods:
                wanted = {(data + variant, method, s, (n * each,)) for s in passive for n in (10, 100, 300)}
                wanted |= {(data + variant, method, "stratified", (n * each,)) for n in (10, 100, 300)}  # the oracle
                assert wanted | {(data + variant, method, "random", (ALL,))} <= found


def test_the_models_of_2021_are_those_of_its_table():
    nets = {
        c.method.name: getattr(c.method.settings, "architecture", "") or c.method.settings.backbone
        for c in sparse().cells
    }
    assert nets == {
        "fixmatch": "wrn", "ssl": "wide_resnet50_2", "basic": "wide_resnet50_2", "transfer": "wide_resnet50_2.tv_in1k",
    }  # fmt: skip


def test_the_study_of_the_presets_differs_in_the_preset_alone():
    found = {}
    for cell in read("presets-2021").cells:
        found.setdefault((cell.dataset, cell.settings), {})[cell.method.settings.preset] = cell.method.settings
    assert len(found) == 2 * 3 * 5
    for pair in found.values():
        old, new = (as_dict(pair[name]) for name in ("study-2021", "paper"))
        assert {key for key in old if old[key] != new[key]} == {
            "preset", "optimizer", "weight_decay", "norm_momentum"
        }  # fmt: skip
        assert (old["optimizer"], new["optimizer"], old["steps"]) == ("adam", "sgd", 20_000)


def test_the_study_of_the_presets_runs_in_a_tiny_form_and_they_are_compared():
    values = tomllib.loads((studies.SHIPPED / "presets-2021.toml").read_text())
    tiny = {"steps": 2, "depth": 10, "width": 1, "batch_size": 4, "mu": 1}
    values["grid"][0] |= {"dataset": "digits", "budgets": [[20]], "seeds": 2, "method_settings": {"fixmatch": tiny}}
    rows = [row for cell in study(values).cells for row in run_cell(cell)]
    assert {(row["preset"], row["seed"], row["labels"]) for row in rows} == {
        (preset, seed, 20) for preset in ("study-2021", "paper") for seed in (0, 1)
    }  # fmt: skip
    asked = {(row["preset"], row["seed"]): row["asked"] for row in rows}
    assert asked["study-2021", 1] == asked["paper", 1]  # the same labels
    whole, last = compare(rows, "paper", by="preset")
    means = [np.mean([row["accuracy"] for row in rows if row["preset"] == name]) for name in ("study-2021", "paper")]
    assert whole.mean == last.mean == pytest.approx(means[0] - means[1])
