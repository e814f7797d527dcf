"""The report: numbers against closed forms and scipy, every form says the same, and the page needs nothing else."""

import csv
import json
import re
from html.parser import HTMLParser
from itertools import combinations, product

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy import stats

from annotator.cli import main
from learner.benchmark.groups import by_setting
from learner.benchmark.plot import _lines, half_width, hours, plot_selection
from learner.benchmark.report.classes import class_table, features_table
from learner.benchmark.report.page import write
from learner.benchmark.report.tables import reached, tables
from learner.benchmark.statistics import every_pair, holm, minus, paired, paired_t
from learner.benchmark.summary import Point
from learner.errors import LearnerError

HOSTILE = '<script src="http://x.example">'
GAIN = {"random": 0.0, "typiclust": 0.1, HOSTILE: -0.05}


def rows(dataset="digits", seeds=6, names=tuple(GAIN), budgets=(10, 20, 40)):
    """Curves that rise alike, but for their strategy and a little noise of the seed."""
    rng = np.random.default_rng(0)
    common = {
        "rounds": len(budgets), "dataset": dataset, "method": "propagate", "preset": "", "features": "pca",
        "oracle": "ground-truth", "query_size": 0, "cold_start": "random", "classes_seen": 2, "total_variation": 0.1,
        "coverage_radius": 1.5, "train_seconds": 0.5, "predict_seconds": 0.1, "select_seconds": 0.2, "device": "mine",
    }  # fmt: skip
    found = []
    for name, seed, (number, labels) in product(names, range(seeds), enumerate(budgets, 1)):
        value = 0.4 + labels / 100 + GAIN[name] + rng.normal(0, 0.01)
        row = {"cell": f"{dataset}{name}{seed}", "round": number, "strategy": name, "seed": seed, "labels": labels}
        counts = [labels // 2, labels - labels // 2]
        row |= {"accuracy": value, "balanced_accuracy": value - 0.02, "labels_per_class": counts}
        found.append(common | row)
    return found


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The report of a run of two data sets, one of them imbalanced, with a torn end."""
    run = tmp_path_factory.mktemp("run")
    found = [*rows(), *rows("digits@modified")]
    (run / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found) + '{"cell": "x", "rou')
    about = {"title": f"T {HOSTILE}", "command": "annotator simulate --seeds 6", "question": "Why?"}
    missing = [{"cell": "cifar10, fixmatch", "reason": f"no files {HOSTILE}"}]
    (run / "run.json").write_text(json.dumps(about | {"missing": missing}))
    result = CliRunner().invoke(main, ["report", str(run)])
    assert result.output == f"{run / 'report' / 'report.html'} written\n"
    return run / "report"


@pytest.fixture
def page(out):
    return Page((out / "report.html").read_text())


def table_of(path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


class Page(HTMLParser):
    """Tags, texts of cells, and whatever would be loaded."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.loaded, self._open = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self._open = tag in ("td", "th")
        self.loaded += [
            v for k, v in attributes if k in ("src", "href", "xlink:href", "data") and not v.startswith("#")
        ]

    def handle_data(self, data):
        if self._open:
            self.cells.append(data)

    def handle_endtag(self, tag):
        self._open = False


def test_the_page_stands_alone_and_everything_in_it_is_escaped(page):
    assert page.loaded == []
    assert "script" not in page.tags
    assert page.cells.count(HOSTILE) >= 10
    assert {"svg", "table", "h1", "h2"} <= set(page.tags)


def test_every_strategy_is_in_every_table_and_all_forms_say_the_same(page, out):
    markdown = (out / "report.md").read_text()
    files = sorted(out.glob("[12]-*.csv"))
    assert len(files) == 2 * 8
    for path in files:
        table = [line[:-1] for line in table_of(path)]  # without the seeds
        assert {line[0] for line in table[1:]} >= set(GAIN)
        assert not {cell for line in table for cell in line} - set(page.cells)
        assert all(cell in markdown for line in table for cell in line)
    for number in (1, 2):
        for name in ("curves", "selection"):
            assert (out / f"{number}-{name}.png").stat().st_size > 10_000
            assert "<svg" in (out / f"{number}-{name}.svg").read_text()


def test_every_line_of_a_file_ends_in_its_seeds(out, tmp_path):
    for path in out.glob("[12]-*.csv"):
        head, *lines = table_of(path)
        assert (head[-1], {line[-1] for line in lines}) == ("seeds", {"0 1 2 3 4 5"})
    found = [row for row in rows() if not (row["strategy"] == "typiclust" and row["seed"] in (0, 4))]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    write(tmp_path, tmp_path / "out")
    seeds = {line[0]: line[-1] for line in table_of(tmp_path / "out" / "1-budgets.csv")[1:]}
    assert (seeds["random"], seeds["typiclust"]) == ("1 2 3 5", "1 2 3 5")


def test_the_class_with_most_labels_is_shaded_most():
    found = [row | {"labels_per_class": [8, 2, 0]} for row in rows(seeds=2)]
    assert set(class_table(found).heat) == {(1.0, 0.25, 0.0)}


def test_what_is_missing_is_said_with_the_reason(page):
    assert {"cifar10, fixmatch", f"no files {HOSTILE}"} <= set(page.cells)


def test_the_files_beside_a_table_say_its_command_and_seeds(out):
    about = json.loads((out / "about.json").read_text())
    assert about["command"] == "annotator simulate --seeds 6"
    assert [part["seeds"] for part in about["files"].values()] == [list(range(6))] * 2
    for prefix, part in about["files"].items():
        assert {path.name for path in out.glob(f"{prefix}*.csv")} == {f"{prefix}{name}.csv" for name in part["tables"]}


def test_labels_of_each_class_are_means_over_seeds():
    found = rows(seeds=2, names=("random",), budgets=(10, 20))
    for row, counts in zip(found, ([7, 3], [12, 8], [4, 6], [9, 11]), strict=True):
        row["labels_per_class"] = counts
    assert class_table(found).rows == (
        ("random", "10", "2.0", "0.10", "5.5", "4.5"),
        ("random", "20", "2.0", "0.10", "10.5", "9.5"),
    )


def test_features_that_were_measured_stand_in_the_report(out, tmp_path):
    path = tmp_path / "features.csv"
    path.write_text(
        "features,knn_cosine,knn_cosine_std,nmi,not_measured\npca,0.9312,0.01,0.71234,\n"
        "timm:x,not measured,not measured,not measured,no net\ntimm:y,,,,none\n"  # of an older version
    )
    result = CliRunner().invoke(main, ["report", str(out.parent), "-o", str(tmp_path), "--features", str(path)])
    assert result.exit_code == 0, result.output
    said = (tmp_path / "report.md").read_text()
    assert "| pca | 93.1 | 0.712 |" in said
    assert "| timm:x | not measured | not measured |" in said
    assert "| timm:y | not measured | not measured |" in said
    assert "timm:x: no net." in said


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "features,nmi\npca,high\n"])
def test_another_file_is_no_table_of_features(tmp_path, text):
    path = tmp_path / "f.csv"
    path.write_text(text)
    with pytest.raises(LearnerError, match=r"f\.csv is no features\.csv of annotator features"):
        features_table(path)


def test_imbalanced_data_is_judged_by_balanced_accuracy(out):
    budgets = [table_of(out / f"{number}-budgets.csv") for number in (1, 2)]
    plain, balanced = (float(table[1][1].split(" ")[0]) for table in budgets)
    assert plain - balanced == pytest.approx(2.0, abs=0.11)


def test_intervals_and_pairs_are_scipys():
    found = rows()
    values = {name: np.array([[r["accuracy"] for r in found if (r["strategy"], r["seed"]) == (name, seed)]
                              for seed in range(6)]) for name in GAIN}  # fmt: skip
    areas = {name: np.trapezoid(v, axis=1) / 2 for name, v in values.items()}
    pairs = {(item.arm, item.reference): item for item in every_pair(found)}
    assert len(pairs) == 3
    for (a, b), item in pairs.items():
        assert item.mean == pytest.approx((areas[a] - areas[b]).mean())
        assert item.p_t == pytest.approx(stats.ttest_rel(areas[a], areas[b]).pvalue)
        assert item.effect == pytest.approx((areas[a] - areas[b]).mean() / (areas[a] - areas[b]).std(ddof=1))
    assert [i.p_holm for i in pairs.values()] == pytest.approx(holm([i.p_t for i in pairs.values()]))
    area_table = next(table for table in tables(found, "accuracy") if table.name == "areas")
    low, high = stats.t.interval(0.95, 5, areas["random"].mean(), stats.sem(areas["random"]))
    said = next(row[1] for row in area_table.rows if row[0] == "random")
    assert said == f"{100 * areas['random'].mean():.1f} ({100 * low:.1f} to {100 * high:.1f})"


def test_the_band_of_a_curve_is_students_t():
    low, high = stats.t.interval(0.95, 4, 0.5, 0.1 / 5**0.5)
    assert half_width(Point(10, 0.5, 0.1, 5)) == pytest.approx((high - low) / 2)
    assert half_width(Point(10, 0.5, 0.0, 1)) == 0


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0, 1))
def test_labels_to_reach_a_level_are_where_numpy_interpolates_it(values, level):
    labels = [10 * (n + 1) for n in range(len(values))]
    found = reached(labels, values, level)
    if found is None:
        assert max(values) < level
    elif values[0] >= level:
        assert found == 10
    else:
        assert np.interp(found, labels, values) == pytest.approx(level, abs=1e-6)
        assert all(np.interp(x, labels, values) < level + 1e-6 for x in np.linspace(10, found, 20)[:-1])


def test_savings_are_against_random():
    # random: 0.5, 0.6, 0.8; typiclust 0.1 more; the level 0.7 is reached at 30 and at 20
    table = next(table for table in tables(rows(names=("random", "typiclust")), "accuracy") if table.name == "savings")
    lines = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert float(lines["random"]["70%"]) == pytest.approx(30, abs=1)
    needs, saved = re.fullmatch(r"(\d+) \(\+(\d+) %\)", lines["typiclust"]["70%"]).groups()
    assert float(needs) == pytest.approx(20, abs=1)
    assert float(saved) == pytest.approx(33, abs=4)


def test_what_random_reaches_in_the_end_is_a_level_however_low():
    low = [row | {"accuracy": row["accuracy"] - 0.38} for row in rows(names=("random", "typiclust"))]
    table = next(table for table in tables(low, "accuracy") if table.name == "savings")
    # random: 0.12, 0.22, 0.42; typiclust 0.1 more, so that it is there at 30
    assert table.columns[1:4] == ("20%", "30%", "40%")
    assert re.fullmatch(r"random's 4[12]\.\d% by 40", table.columns[-1])
    random, typiclust = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert random[table.columns[-1]] == "40"
    assert int(typiclust[table.columns[-1]].split()[0]) == pytest.approx(30, abs=1)


def test_what_strategies_said_of_their_clusters_is_in_the_report():
    silent = rows(names=("random",))
    assert "told" not in [table.name for table in tables(silent, "accuracy")]
    told = [row | {"asked_note": f"{row['seed']} clusters"} for row in rows(names=("typiclust",), budgets=(10,))]
    (table,) = [table for table in tables([*silent, *told], "accuracy") if table.name == "told"]
    assert table.rows == (("typiclust", "10", "0 clusters"),)


def test_a_saving_that_begins_above_the_level_is_a_bound():
    table = next(table for table in tables(rows(names=("random", "typiclust")), "accuracy") if table.name == "savings")
    lines = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert lines["typiclust"]["60%"].startswith("≤ 10 (≥ +") or lines["typiclust"]["60%"].startswith("1")
    assert "%" not in lines["random"]["60%"]
    assert lines["random"]["80%"].isdigit() or lines["random"]["80%"] == "not by 40"


@pytest.mark.parametrize("repeats", [100, pytest.param(5000, marks=pytest.mark.long)])
def test_under_the_null_one_family_in_twenty_finds_something(repeats):
    """Four arms without any difference, six pairs: Holm keeps the family at 5 % or below, near it."""
    arms = np.random.default_rng(0).normal(0, 1, (repeats, 4, 10))  # repeats, arms, seeds
    p = np.array([[paired_t(minus(a, b)) for a, b in combinations(run, 2)] for run in arms])
    near = 0.35 / np.sqrt(repeats)
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=near)
    assert 0.02 < np.mean([min(holm(family)) < 0.05 for family in p.tolist()]) < 0.05 + near


def test_only_seeds_that_every_strategy_has_are_compared():
    found = [row for row in rows() if not (row["strategy"] == "typiclust" and row["seed"] == 4)]
    kept, seeds, left_out = paired(found)
    assert (seeds, left_out) == ([0, 1, 2, 3, 5], [4])
    assert {row["seed"] for row in kept} == set(seeds)


def test_where_strategies_share_no_seed_all_rows_stay():
    found = [row for row in rows(names=("random", "typiclust")) if (row["strategy"] == "random") == (row["seed"] < 3)]
    assert paired(found) == (found, [], [0, 1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("seeds", "said", "line"),
    [
        ([0, 1, 2, 3, 5], "5 seeds, 0 to 5; left out: seed 4, which not every strategy has", "Paired by seed"),
        ([5], "a single seed: no intervals, no tests; left out: seeds 0, 1, 2, 3, 4, which", "at least two seeds"),
        ([6], "7 seeds, none of which all strategies have: no tests", "Nothing was tested"),
    ],
)
def test_a_seed_that_one_strategy_lacks_is_left_out_and_named(tmp_path, seeds, said, line):
    found = rows(names=("random", "typiclust"))
    found += [row | {"strategy": "margin", "cell": f"margin{row['seed']}"} for row in rows(seeds=7, names=("random",))
              if row["seed"] in seeds]  # fmt: skip
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for name in ("report.md", "report.html"):
        text = (tmp_path / "report" / name).read_text()
        assert all(part in text for part in (said, line, "margin"))


def test_one_seed_gives_a_report_without_tests():
    names = {table.name: table for table in tables(rows(seeds=1), "accuracy")}
    assert "at least two seeds" in names["pairs"].note
    assert names["areas"].rows[0][1].count("to") == 0


def test_runs_without_a_number_of_labels_in_common_still_get_a_report(tmp_path):
    found = [*rows(names=("random",), budgets=(10, 20)), *rows(names=("typiclust",), budgets=(11, 21))]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert result.exit_code == 0, result.output
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| strategy | 10 | 11 | 20 | 21 |" in text
    assert "Nothing was tested: the runs have no number of labels in common" in text


def test_rows_without_features_stand_beside_those_with():
    basic = {"method": "basic"}
    bare = [row | basic | {"features": ""} for row in rows(names=("random",))]
    seen = [row | basic | {"features": f} for f in ("a", "b") for row in rows(names=("typiclust",))]
    groups = by_setting([*bare, *seen])
    assert list(groups) == ["digits, basic, a", "digits, basic, b"]
    assert all({row["strategy"] for row in group} == {"random", "typiclust"} for group in groups.values())


def test_models_that_share_data_and_strategy_have_a_part_of_their_own(tmp_path):
    worse = [row | {"preset": "study-2021", "cell": f"2021{row['cell']}"} for row in rows(names=("random",))]
    better = [row | {"preset": "paper", "accuracy": row["accuracy"] + 0.1 + row["seed"] / 100}
              for row in rows(names=("random",)) if row["seed"] != 3]  # fmt: skip
    found = better + worse
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    write(tmp_path, tmp_path / "out")
    out = tmp_path / "out"
    assert {path.name for path in out.glob("models-*")} == {
        f"models-1-{name}" for name in ("budgets.csv", "areas.csv", "pairs.csv", "curves.png", "curves.svg")
    }  # fmt: skip
    names = ["propagate, paper, pca", "propagate, study-2021, pca"]
    head, first, _ = table_of(out / "models-1-pairs.csv")
    assert head == ["row − column", *names, "seeds"]
    assert first[2].startswith("+12.4 * (")  # ten points and the mean of the seeds 0, 1, 2, 4 and 5
    assert first[-1] == "0 1 2 4 5"
    for name in ("report.md", "report.html"):
        text = (out / name).read_text()
        assert "Models: digits, random" in text
        assert "5 seeds, 0 to 5; left out: seed 3, which not every model has" in text


def test_a_run_of_several_settings_says_who_wins_over_all_of_them(out, page):
    head, *lines = table_of(out / "penalties.csv")
    assert head == ["beats", *GAIN]
    matrix = {line[0]: dict(zip(head, line, strict=True)) for line in lines}
    for name, rival in product(GAIN, GAIN):  # budgets 10, 20 and 40, at all of which the gains tell
        assert float(matrix[name][rival]) == (2 if GAIN[name] > GAIN[rival] else 0)
    assert "Who wins over all settings: pairwise penalty matrix" in (out / "report.md").read_text()
    assert "2.00" in page.cells


def test_a_run_whose_last_command_has_nothing_yet_says_so(tmp_path):
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(seeds=1)))
    (tmp_path / "run.json").write_text('{"cell_keys": ["another"]}')
    with pytest.raises(
        LearnerError, match=r"no results\.jsonl with complete runs of its last command, only 3 of earlier"
    ):
        write(tmp_path, tmp_path / "out")


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(LearnerError, match=r"has no results\.jsonl with complete runs"):
        write(tmp_path, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_hours_are_those_of_labeling_and_of_all_rounds_so_far():
    found = [row | {"human_seconds": 9.0 * row["labels"]} for row in rows(names=("random",))]
    assert hours(found, computing=False)["random"] == pytest.approx({10: 0.025, 20: 0.05, 40: 0.1})
    seconds = {10: 90 + 0.8, 20: 180 + 1.6, 40: 360 + 2.4}
    assert hours(found, computing=True)["random"] == pytest.approx({n: each / 3600 for n, each in seconds.items()})


def test_with_seconds_per_label_there_is_a_picture_over_time(tmp_path):
    found = [row | {"human_seconds": 2.0 * row["labels"]} for row in rows(names=("random",), seeds=2)]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    page = write(tmp_path, tmp_path / "out").read_text()
    assert "hours of labeling and computing" in page
    assert (tmp_path / "out" / "1-time.png").exists()


@pytest.mark.parametrize(
    "about",
    [
        '{"missing": [1, {"cell": "x"}]}',
        *(pytest.param(a, marks=pytest.mark.long) for a in ("[]", '{"missing": 3}', "null")),
    ],
)
def test_a_damaged_run_json_stops_no_report(tmp_path, about):
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(seeds=1, budgets=(10,))))
    (tmp_path / "run.json").write_text(about)
    assert write(tmp_path, tmp_path / "out").exists()


def test_the_band_of_an_accuracy_stays_between_nothing_and_all():
    axes = Figure().subplots()
    _lines(axes, {"random": [Point(10, 0.5, 0.3, 2), Point(20, 0.9, 0.2, 2)]}, 100)
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0, 100)


def test_all_labels_do_not_squeeze_what_was_asked_into_a_corner(tmp_path):
    whole = {"labels": 9000, "labels_per_class": [4500, 4500], "all": True}
    found = [*rows(names=["random"]), *(row | whole for row in rows(names=["random"], budgets=[40]))]
    plot_selection(found, [tmp_path / "asked.svg", tmp_path / "asked.png"], "asked")
    ticks = re.findall(r"<!-- (\d+) -->", (tmp_path / "asked.svg").read_text())
    assert max(map(int, ticks)) == 40
    assert (tmp_path / "asked.png").read_bytes().startswith(b"\x89PNG")
