"""Studies: grids in TOML become cells, and what a file cannot mean is said."""

from collections import Counter
from functools import cache

import pytest

from learner.benchmark import study as studies
from learner.benchmark.study import ALL, cells, read, study, with_seeds
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


def test_of_a_list_of_seeds_the_first_ones_are_taken_in_each_setting():
    grids = [{"strategy": ["random", "margin"], "seeds": [7, 3, 5]}, {"budget": 50, "seeds": [4]}]
    plan = with_seeds(study({"grid": grids}), 2)
    found = Counter((c.strategy.name, c.settings.budget, c.settings.seed) for c in plan.cells)
    assert set(found) == {(name, 100, seed) for name in ("random", "margin") for seed in (7, 3)} | {("random", 50, 4)}


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
                assert wanted | {(data + variant, method, "random", (ALL,))} <= found


def test_the_models_of_2021_are_those_of_its_table():
    nets = {
        c.method.name: getattr(c.method.settings, "architecture", "") or c.method.settings.backbone
        for c in sparse().cells
    }
    assert nets == {
        "fixmatch": "wrn", "ssl": "wide_resnet50_2", "basic": "wide_resnet50_2", "transfer": "wide_resnet50_2.tv_in1k",
    }  # fmt: skip


def test_the_presets_of_2021_and_of_the_paper_differ_in_how_they_descend_and_not_in_how_long():
    found = {(c.dataset, c.method.settings.preset): c.method.settings for c in read("presets-2021").cells}
    assert {key: (s.optimizer, s.weight_decay, s.steps, s.architecture) for key, s in found.items()} == {
        (name, preset): (*optimizer, steps, "wrn")
        for name, steps in {"digits": 300, "cifar10": 20000, "svhn": 20000}.items()
        for preset, optimizer in {"paper": ("sgd", 0.0005), "study-2021": ("adam", 0.005)}.items()
    }


def test_the_study_of_the_presets_runs_in_small():
    small = {"architecture": "conv", "steps": 2, "batch_size": 4, "mu": 1}
    grid = {"method": "fixmatch", "preset": ["paper", "study-2021"], "budgets": [20], "seeds": 1}
    told = [run_cell(c)[0] for c in cells(grid | {"method_settings": {"fixmatch": small}})]
    assert [row["preset"] for row in told] == ["paper", "study-2021"]
    assert [row["settings"]["method"]["optimizer"] for row in told] == ["sgd", "adam"]
