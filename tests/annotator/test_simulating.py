"""Simulations from the command line: the page that describes them, and the table of differences."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy import stats

from annotator.asked import choices
from annotator.cli import main
from annotator.progress import Bars
from learner.benchmark.absent import nets
from learner.benchmark.engines import ENGINES, play, serial
from learner.benchmark.study import cells, names
from learner.datasets import DATASETS, load
from learner.errors import BadSetting, LearnerError, WeightsError
from learner.events import RoundFinished
from learner.oracles import forms
from learner.registry import Row
from learner.settings import NoSettings
from learner.simulate import run_cell
from learner.training import METHODS

PAGE = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text()
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S) for line in block.splitlines()]


@pytest.fixture
def shapes(tmp_path, monkeypatch):
    """shapes.npz and the folder shapes, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    classes = np.arange(90) % 3
    pixels = (rng.integers(0, 60, (90, 12, 12)) + 90 * classes[:, None, None]).astype(np.uint8)
    np.savez("shapes.npz", x_train=pixels[:60], y_train=classes[:60], x_test=pixels[60:], y_test=classes[60:])
    for number, (image, label) in enumerate(zip(pixels, classes.tolist(), strict=True)):
        path = tmp_path / "shapes" / "abc"[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_works(shapes, command):
    arguments = shlex.split(command)[1:]
    if arguments[0] == "report":
        simulate("simulate --strategy random --strategy margin --seeds 2 --budget 20 --quiet")
        simulate(" ".join(arguments))
        return
    result = CliRunner().invoke(main, [*arguments, "--quiet"])
    assert result.exit_code == 0, result.output
    (results,) = Path("runs").glob("*/results.jsonl")
    assert results.read_text().count("\n") >= 3
    assert all(path.stat().st_size > 10_000 for path in results.parent.glob("selection*.png"))


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_is_on_the_page_and_in_the_help(name):
    form = f"{name}:{DATASETS[name].argument}" if DATASETS[name].argument else name
    assert f"`{form}`" in PAGE
    assert form in " ".join(CliRunner().invoke(main, ["simulate", "--help"]).output.split())


def test_strategies_are_compared_with_random_wherever_it_stands(shapes):
    arguments = "simulate --quiet --strategy margin --strategy random --strategy entropy --seeds 3 --budget 20 --out o"
    result = CliRunner().invoke(main, shlex.split(arguments))
    assert result.exit_code == 0, result.output
    assert "difference to random, points: paired over 3 seeds" in result.output
    rows = [json.loads(line) for line in Path("o/results.jsonl").read_text().splitlines()]
    last = {
        name: [row["accuracy"] for row in rows if (row["strategy"], row["labels"]) == (name, 20)]
        for name in ("random", "margin", "entropy")
    }
    found = {(item["arm"], item["labels"]): item for item in json.loads(Path("o/comparison.json").read_text())}
    for name in ("margin", "entropy"):
        item = found[name, 20]
        assert item["p_t"] == pytest.approx(stats.ttest_rel(last[name], last["random"]).pvalue)
        line = next(line for line in result.output.splitlines() if name in line and "20 labels" in line)
        assert f"{100 * item['mean']:+.1f}" in line
        assert f"{item['p_holm']:.3f}" in line


@pytest.mark.parametrize("more", ["--strategy random --seeds 2", "--strategy random --strategy margin --seeds 1"])
def test_one_strategy_or_one_seed_is_not_compared(shapes, more):
    result = CliRunner().invoke(main, shlex.split(f"simulate --quiet --budget 20 --out o {more}"))
    assert result.exit_code == 0
    assert "difference" not in result.output
    assert not Path("o/comparison.json").exists()


def test_a_setting_goes_to_every_strategy_that_has_it():
    kmeans, top, margin = choices(["kmeans", "kmeans_top", "margin"], {"starts": "7"})
    assert kmeans.settings.starts == top.settings.starts == 7
    assert margin.settings == NoSettings()


def test_a_setting_that_no_strategy_has_is_refused():
    with pytest.raises(BadSetting, match="none of margin, kmeans has a setting 'radius'; together they have starts"):
        choices(["margin", "kmeans"], {"radius": "1"})


def failing(monkeypatch, *broken: tuple[str, int]) -> None:
    """These cells, a strategy and a seed, cannot be played."""

    def some(cell, *more):
        if (cell.strategy.name, cell.settings.seed) in broken:
            raise LearnerError("its loss became NaN")
        return run_cell(cell, *more)

    monkeypatch.setattr(play, "run_cell", some)


def test_a_cell_that_fails_costs_only_its_seed_and_the_report_names_it(shapes, monkeypatch):
    failing(monkeypatch, ("margin", 1))
    said = simulate("simulate --quiet --strategy random --strategy margin --seeds 3 --budget 20 --out o")
    assert "difference to random, points: paired over 2 seeds" in said
    setting = "digits, propagate, pca, 10 at once"
    assert f"not compared: {setting}: seed 1, which not every strategy has\n" in said
    assert "not measured: digits, propagate, pca, margin, seed 1: its loss became NaN\n" in said
    simulate("report o")
    text = Path("o/report/report.md").read_text()
    assert "2 seeds, 0 to 2; left out: seed 1, which not every strategy has" in text
    assert "Every pair" in text
    assert "| digits, propagate, pca, margin, seed 1 | its loss became NaN |" in text
    found = json.loads(
        simulate("simulate --quiet --json --strategy random --strategy margin --seeds 3 --budget 20 -o o")
    )
    assert found["not_compared"] == {setting: "seed 1, which not every strategy has"}
    assert {item["n"] for item in found["differences"][setting]} == {2}


def test_strategies_that_share_no_two_seeds_are_shown_and_not_compared(shapes, monkeypatch):
    failing(monkeypatch, ("margin", 0), ("random", 1))
    said = simulate("simulate --quiet --strategy random --strategy margin --seeds 2 --budget 20 --out o")
    assert "seeds 0, 1, which not every strategy has" in said
    assert said.count("not measured: ") == 2
    assert "difference to" not in said


SMALL = "simulate --strategy random --strategy typiclust --seeds 2 --budget 20 --quiet"


def simulate(arguments: str, code: int = 0) -> str:
    """What the command says."""
    result = CliRunner().invoke(main, shlex.split(arguments))
    assert result.exit_code == code, result.output
    return result.output


def rows_of(folder: str) -> list[dict]:
    """The rows of a run, sorted, without what differs from one run to the next."""
    rows = [json.loads(line) for line in Path(folder, "results.jsonl").read_text().splitlines()]
    kept = [{key: value for key, value in row.items() if not key.endswith("_seconds")} for row in rows]
    return sorted(kept, key=lambda row: (row["cell"], row["round"]))


@pytest.mark.long
def test_a_run_that_was_stopped_goes_on_and_ends_as_one_that_was_not(shapes, monkeypatch):
    simulate(f"{SMALL} --out whole")
    with monkeypatch.context() as patch:
        patch.setattr(Bars, "finish", stopping_after(2))
        said = simulate(f"{SMALL} --out halved", code=1)
    assert said == "Error: stopped; what is finished stands in halved, the same command goes on\n"
    done = rows_of("halved")
    assert 0 < len(done) < len(rows_of("whole"))
    again = counted(monkeypatch)
    simulate(f"{SMALL} --out halved")
    assert rows_of("halved") == rows_of("whole")
    assert not {cell.key for cell in again} & {row["cell"] for row in done}
    again.clear()
    simulate(f"{SMALL} --out halved --force")
    assert len(again) == 4
    assert rows_of("halved") == rows_of("whole")


def test_the_report_is_of_the_last_command_and_says_what_it_leaves_out(shapes):
    simulate(f"{SMALL} --dataset npz:shapes.npz --out o")
    simulate("simulate --dataset npz:shapes.npz --strategy random --seeds 2 --budget 30 --quiet --out o")
    assert len(rows_of("o")) == 4 * 2 + 2 * 3
    simulate("report o")
    for name in ("report.md", "report.html"):
        assert "Left out: 4 finished runs of earlier commands in results.jsonl" in Path("o/report", name).read_text()
    text = Path("o/report/report.md").read_text()
    assert "| strategy | 10 | 20 | 30 |" in text
    assert "typiclust" not in text
    simulate(f"{SMALL} --dataset npz:shapes.npz --out o --budget 30")  # names the cells of the second, not of the first
    simulate("report o")
    text = Path("o/report/report.md").read_text()
    assert "typiclust" in text
    assert "Left out: 4 finished runs" in text


def test_pictures_and_tables_of_an_earlier_command_do_not_stay_beside_those_of_the_last(shapes):
    Path("study.toml").write_text(
        'title = "t"\n[[grid]]\ndataset = ["npz:shapes.npz", "npz:shapes.npz@modified"]\n'
        'strategy = ["random", "typiclust"]\nbudgets = [[10, 20]]\nseeds = 2\n'
    )
    simulate("simulate --study study.toml --quiet --out o")
    simulate("report o")
    Path("o/report/mine.csv").write_text("a note\n")
    Path("o/curves-of-mine.png").touch()
    assert {path.name for path in Path("o").glob("*.png")} == {
        "curves-1.png", "curves-2.png", "selection-1.png", "selection-2.png", "curves-of-mine.png"
    }  # fmt: skip
    assert Path("o/report/2-pairs.csv").exists()
    simulate("simulate --dataset npz:shapes.npz --strategy random --seeds 2 --budget 20 --quiet --out o")
    simulate("report o")
    assert {path.name for path in Path("o").glob("*.png")} == {"curves.png", "selection.png", "curves-of-mine.png"}
    assert not Path("o/comparison.json").exists()
    left = {path.name for path in Path("o/report").iterdir()}
    assert not [name for name in left if name.startswith("2-")]
    assert "1-pairs.csv" not in left
    assert {"1-budgets.csv", "1-curves.svg", "report.html", "mine.csv"} <= left


@pytest.mark.parametrize("facts", ["[]", '{"written": [3]}', '{"written": ["../../kept.csv", "kept.md"]}'])
def test_a_report_deletes_nothing_that_it_has_not_made(shapes, facts):
    simulate("simulate --dataset npz:shapes.npz --strategy random --seeds 1 --budget 20 --quiet --out o")
    Path("o/report").mkdir()
    Path("o/report/about.json").write_text(facts)
    kept = [Path("kept.csv"), Path("o/report/kept.md")]
    for path in kept:
        path.touch()
    simulate("report o")
    assert all(path.exists() for path in kept)


def test_all_images_and_more_than_there_are_stand_in_a_report_as_one(shapes):
    Path("study.toml").write_text(
        'title = "t"\n[[grid]]\ndataset = "digits@modified"\nstrategy = ["random", "typiclust"]\n'
        'budgets = [[10], [800], ["all"]]\nseeds = 2\n'
    )
    sizes = [len(load("digits@modified", seed).train) for seed in (0, 1)]
    assert sizes[0] != sizes[1]
    mean = round(sum(sizes) / 2)
    found = json.loads(simulate("simulate --study study.toml --quiet --json --out o"))
    assert [(item["labels"], item["n"], item["is_all"]) for item in found["curves"]] == 2 * [
        (10, 2, False), (mean, 2, True)
    ]  # fmt: skip
    simulate("report o")
    text = Path("o/report/report.md").read_text()
    assert f"| strategy | 10 | all ({mean}) |" in text
    assert "| strategy | labels | classes with a label |" in text
    assert "What was asked by 10 labels" in text


def stopping_after(number: int):
    """Ctrl+C in the middle of a run."""
    seen = []

    def finish(bars, name):
        seen.append(name)
        if len(seen) > number:
            raise KeyboardInterrupt

    return finish


def interrupted_at(round: int):
    """Ctrl+C as soon as this round of any cell is over."""
    show = Bars.show

    def showing(bars, name, event):
        show(bars, name, event)
        if isinstance(event, RoundFinished) and event.round == round:
            raise KeyboardInterrupt

    return showing


def trained(monkeypatch, method: str = "propagate") -> list[int]:
    """The rounds that are really trained, as they come."""
    seen, train = [], METHODS[method].load()

    def training(task, settings):
        seen.append(task.round)
        return train(task, settings)

    monkeypatch.setattr(Row, "load", lambda row, load=Row.load: training if row is METHODS[method] else load(row))
    return seen


@pytest.mark.parametrize("strategy", ["margin", "typiclust", "badge"])
def test_ctrl_c_costs_only_the_round_under_way(shapes, monkeypatch, strategy):
    command = f"simulate --quiet --dataset npz:shapes.npz --strategy {strategy} --seeds 1 --budget 40"
    simulate(f"{command} --out whole")
    rounds = trained(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(Bars, "show", interrupted_at(2))
        assert "the same command goes on" in simulate(f"{command} --out halved", code=1)
    assert rounds == [1, 2]
    assert rows_of("halved") == []
    assert "no results.jsonl with complete runs" in simulate("report halved", code=1)
    simulate(f"{command} --out halved")
    assert rounds == [1, 2, 3, 4]
    assert rows_of("halved") == rows_of("whole")
    assert not Path("halved/rounds").exists()


def test_a_first_query_of_one_class_is_answered_again_too(shapes, monkeypatch):
    command = "simulate --quiet --dataset npz:shapes.npz --strategy margin --seeds 4 --query-size 1 --budget 6"
    simulate(f"{command} --out whole")
    assert min(row["round"] for row in rows_of("whole")) == 2  # the first could train nothing
    rounds = trained(monkeypatch)
    for number in (3, 4, 5):
        with monkeypatch.context() as patch:
            patch.setattr(Bars, "show", interrupted_at(number))
            simulate(f"{command} --out halved", code=1)
    simulate(f"{command} --out halved")
    assert rows_of("halved") == rows_of("whole")
    assert len(rounds) == len(rows_of("whole"))


def test_a_round_that_needs_the_net_before_it_is_not_gone_on_from(shapes, monkeypatch):
    command = ("simulate --quiet --dataset npz:shapes.npz --method basic --method-set steps=3 --seeds 1 --budget 30 "
               "--method-set warm_start=true")  # fmt: skip
    simulate(f"{command} --out whole")
    rounds = trained(monkeypatch, "basic")
    with monkeypatch.context() as patch:
        patch.setattr(Bars, "show", interrupted_at(2))
        simulate(f"{command} --out halved", code=1)
    simulate(f"{command} --out halved")
    assert rounds == [1, 2, 1, 2, 3]
    assert rows_of("halved") == rows_of("whole")


def test_an_interrupt_of_force_loses_no_row(shapes, monkeypatch):
    command = "simulate --quiet --dataset npz:shapes.npz --seeds 3 --budget 20 --out o"
    simulate(command)
    before = rows_of("o")
    with monkeypatch.context() as patch:
        patch.setattr(Bars, "finish", stopping_after(1))
        said = simulate(f"{command} --force", code=1)
    assert said == "Error: stopped; what is finished stands in o, what was not computed again has its old rows\n"
    assert rows_of("o") == before
    again = counted(monkeypatch)
    simulate(command)
    assert not again


def test_a_cell_that_fails_when_it_is_forced_keeps_its_rows(shapes, monkeypatch):
    command = "simulate --quiet --dataset npz:shapes.npz --seeds 2 --budget 20 --out o"
    simulate(command)
    before = rows_of("o")
    failing(monkeypatch, ("random", 1))
    said = simulate(f"{command} --force")
    assert "random, seed 1: its loss became NaN; its rows from before stand\n" in said
    assert rows_of("o") == before


def kept_rows(path: Path) -> list[dict]:
    """Of the whole lines of a cell under way."""
    lines = [line for line in path.read_text().splitlines() if line.endswith("}")]
    return [row for line in lines if (row := json.loads(line)["row"])]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_real_ctrl_c_costs_only_the_round_under_way(shapes, engine):
    command = f"simulate --quiet --strategy bald --seeds 1 --budget 40 --engine {engine}"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the background jobs of a shell ignore it
    with subprocess.Popen(
        [sys.executable, "-m", "annotator", *shlex.split(f"{command} --out halved")], start_new_session=True,
        stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as running:  # fmt: skip
        while not (found := [row for path in Path("halved").glob("rounds/*") for row in kept_rows(path)]):
            assert running.poll() is None
            time.sleep(0.02)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to everybody
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said.count("the same command goes on")) == (1, 1)
    assert rows_of("halved") == []
    simulate(f"{command} --out halved")
    simulate(f"{command.removesuffix(engine)} serial --out whole")
    assert rows_of("halved") == rows_of("whole")
    again = json.loads(Path("halved/results.jsonl").read_text().splitlines()[0])
    assert again["train_seconds"] == found[0]["train_seconds"]  # it was not trained again


def counted(monkeypatch) -> list:
    """The cells that are really run, as they come."""
    seen = []

    def counting(cell, *more):
        seen.append(cell)
        return run_cell(cell, *more)

    monkeypatch.setattr(play, "run_cell", counting)
    return seen


@pytest.mark.long
def test_the_smoke_study_runs_from_the_data_sets_to_the_tables(shapes):
    found = json.loads(simulate("simulate --study smoke --seeds 2 --json --quiet"))
    assert found["missing"] == []
    settings = {item["setting"] for item in found["curves"]}
    assert settings == {
        "digits, propagate, pca", "digits@modified, propagate, pca", "digits, propagate, pca, noisy:0.1"
    }  # fmt: skip
    assert {len(items) for items in found["differences"].values()} == {4, 12}
    assert len(rows_of("runs/smoke")) == 20 * 3
    kept = json.loads(Path("runs/smoke/comparison.json").read_text())
    flat = [{"setting": name} | item for name, items in found["differences"].items() for item in items]
    assert kept == flat


def test_for_programs_the_same_files_are_written(shapes):
    command = "simulate --quiet --dataset npz:shapes.npz --strategy random --strategy margin --seeds 2 --budget 20 -o o"
    simulate(command)
    before = {path.name: path.read_text() for path in Path("o").glob("comparison.json")}
    Path("o/comparison.json").unlink()
    simulate(f"{command} --json")
    assert {path.name: path.read_text() for path in Path("o").glob("comparison.json")} == before != {}


def test_models_that_share_data_and_strategy_stand_side_by_side(shapes):
    Path("study.toml").write_text(
        'title = "t"\n[[grid]]\ndataset = "npz:shapes.npz"\nmethod = ["propagate", "frozen"]\nfeatures = "pca"\n'
        "method_settings.frozen = { steps = 20 }\nbudgets = [[10, 20]]\nseeds = 2\n"
    )
    said = simulate("simulate --study study.toml --quiet --out o")
    assert "models: npz:shapes.npz, random" in said
    found = json.loads(simulate("simulate --study study.toml --quiet --json --out o"))["models"]
    means = {
        (method, labels): np.mean([
            row["accuracy"] for row in rows_of("o") if (row["method"], row["labels"]) == (method, labels)])
        for method in ("propagate", "frozen") for labels in (10, 20)
    }  # fmt: skip
    assert {(item["model"].split(",")[0], item["labels"]): item["mean"] for item in found} == pytest.approx(means)
    for mean in means.values():
        assert f"{100 * mean:.1f} ±" in said.partition("models:")[2]


def test_what_cannot_be_measured_is_said_and_stops_nothing_else(shapes):
    Path("study.toml").write_text(
        'title = "t"\n[[grid]]\ndataset = ["npz:gone.npz", "npz:shapes.npz"]\nbudget = 20\nseeds = 2\n'
        '[[grid]]\nmethod = "frozen"\nfeatures = "timm:no_such_net"\nbudget = 20\nseeds = 1\n'
    )
    said = simulate("simulate --study study.toml --quiet --out o")
    assert said.count("not measured: npz:gone.npz, propagate, pca, random, seed") == 2
    assert "cannot read gone.npz" in said
    assert "not measured: digits, frozen, timm:no_such_net, random, seed 0: " in said
    assert {row["dataset"] for row in rows_of("o")} == {"npz:shapes.npz"}
    missing = json.loads(Path("o/run.json").read_text())["missing"]
    assert len(missing) == 3
    assert all(item["reason"] for item in missing)


def test_the_bar_of_all_cells_ends_full_where_some_cannot_be_run(shapes, monkeypatch):
    bars = []
    monkeypatch.setattr(Bars, "__exit__", lambda self, *error: bars.append(self._progress.tasks[0]))
    simulate("simulate --quiet --dataset npz:gone.npz --dataset npz:shapes.npz --seeds 2 --budget 10 --out o")
    assert [(bar.completed, bar.total) for bar in bars] == [(2, 2)]


@pytest.mark.parametrize(
    "option",
    ["--dataset digits", "--strategy random", "--budget 100", "--oracle ground-truth", "--method basic", "--no-flip",
     "--seconds-per-label 1", "--query-size 5", "--set cold_start=random", "--strategy-set starts=2",
     "--method-set steps=3"],
)  # fmt: skip
def test_what_a_study_would_not_listen_to_is_refused_by_name(shapes, option):
    said = simulate(f"simulate --study smoke --quiet --out o {option}", code=1)
    assert re.fullmatch(r"Error: \S*" + option.split()[0] + r" would change nothing beside --study; .*\n", said)
    assert "leave out --study" in said
    assert not Path("o").exists()


def test_several_options_that_a_study_would_not_listen_to_are_named_at_once(shapes):
    assert "--dataset, --budget would change" in simulate("simulate --study smoke --budget 9 --dataset digits", code=1)


def test_what_applies_beside_a_study_still_does(shapes, monkeypatch):
    monkeypatch.setenv("ANNOTATOR_DATA_DIR", "")  # so that it is as before afterwards
    Path("study.toml").write_text('title = "t"\n[[grid]]\ndataset = "npz:shapes.npz"\nbudget = 10\nseeds = 3\n')
    simulate("simulate --study study.toml --quiet --json --force --seeds 1 --out o --data-dir d --engine serial")
    assert {row["seed"] for row in rows_of("o")} == {0}


@pytest.mark.long
def test_a_net_that_cannot_be_had_is_asked_for_once_in_a_run(shapes, monkeypatch):
    asked = []

    def unreachable(hub, name, **size):
        asked.append(name)
        raise WeightsError(f"no weights of {name}")

    monkeypatch.setattr("learner.models.weights.Hub.fetch", unreachable)
    Path("study.toml").write_text(
        'title = "t"\n[[grid]]\ndataset = "npz:shapes.npz"\nbudget = 10\nseeds = 2\n'
        '[[grid]]\ndataset = "npz:shapes.npz"\nmethod = "frozen"\nfeatures = "timm:vgg11@32"\nbudget = 20\nseeds = 3\n'
        '[[grid]]\ndataset = "npz:shapes.npz"\nmethod = "transfer"\npreset = "study-2021"\nfeatures = "timm:vgg11"\n'
        'strategy = "kmeans"\nbudget = 20\nseeds = 3\n'
    )
    said = simulate("simulate --study study.toml --quiet --out o")
    assert asked == ["vgg11"]
    assert (
        said.count("not measured: 6 runs, the first of them npz:shapes.npz, frozen, timm:vgg11@32, random, seed 0") == 1
    )
    assert {row["method"] for row in rows_of("o")} == {"propagate"}
    simulate("report o")
    assert Path("o/report/report.md").read_text().count("no weights of vgg11") == 6


@pytest.mark.parametrize(
    ("method", "axes", "names"),
    [
        ("transfer", {"preset": "study-2021"}, ["wide_resnet50_2.tv_in1k"]),
        ("basic", {"features": "timm:resnet50.tv_in1k@32", "strategy": "kmeans"}, ["resnet50.tv_in1k"]),
        ("frozen", {}, ["the_best"]),
        ("propagate", {"features": "pca"}, []),
    ],
)
def test_the_nets_of_a_cell_are_those_that_it_would_load(monkeypatch, method, axes, names):
    monkeypatch.setattr("learner.models.weights.at_hand", lambda: "the_best")
    (cell,) = cells({"method": method, "seeds": 1} | axes)
    assert [name for name, _ in nets(cell)] == names


def test_where_nothing_can_be_measured_the_reason_is_the_error(shapes):
    said = simulate("simulate --dataset npz:gone.npz --quiet --out o", code=1)
    assert said == "Error: cannot read gone.npz: No such file or directory\n"


def elsewhere(cells, report, settings, kept):
    """An engine on another machine."""
    for finished in serial.run(cells, report, settings, kept):
        yield replace(finished, rows=[row | {"device": "a card elsewhere"} for row in finished.rows])


def test_a_row_keeps_the_device_of_the_worker_that_computed_it(shapes, monkeypatch):
    monkeypatch.setitem(ENGINES, "elsewhere", Row("another machine", NoSettings, f"{__name__}:elsewhere"))
    simulate("simulate --engine elsewhere --quiet --seeds 1 --budget 20 --out o")
    assert {row["device"] for row in rows_of("o")} == {"a card elsewhere"}


def test_a_file_with_other_content_is_computed_anew_and_the_old_rows_stay(shapes, monkeypatch):
    command = "simulate --quiet --dataset npz:shapes.npz --seeds 2 --budget 20 --out o"
    first, again = simulate(command), counted(monkeypatch)
    kept, before = Path("shapes.npz").read_bytes(), rows_of("o")
    assert simulate(command) == first
    assert not again
    with np.load("shapes.npz") as file:
        arrays = dict(file)
    np.savez("shapes.npz", **arrays | {"x_test": arrays["x_test"][::-1]})
    second = simulate(command)
    assert len(again) == 2
    assert second != first
    assert [row for row in rows_of("o") if row in before] == before
    assert {row["seed"] for row in rows_of("o") if row not in before} == {0, 1}
    simulate("report o")  # of one kind of rows: two of one seed would be refused
    Path("shapes.npz").write_bytes(kept)
    assert simulate(command) == first
    assert len(again) == 2


def test_without_mlflow_nothing_runs(shapes, monkeypatch):
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "")  # so that they are as before afterwards
    monkeypatch.setitem(sys.modules, "mlflow", None)
    said = simulate("simulate --quiet --track mlflow --seeds 1 --budget 20 --out o", code=1)
    assert said == "Error: mlflow is not installed: pip install 'annotator[mlflow]'\n"
    assert not Path("o").exists()


@pytest.mark.long
def test_the_engine_changes_no_row(shapes):
    simulate(f"{SMALL} --out one")
    simulate(f"{SMALL} --out several --engine processes --engine-set workers=2")
    assert rows_of("several") == rows_of("one")


@pytest.mark.parametrize("name", names())
def test_every_study_is_on_the_page(name):
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("form", forms())
def test_every_oracle_is_on_the_page_and_in_the_help(form):
    assert f"`{form}`" in PAGE
    assert form in " ".join(CliRunner().invoke(main, ["simulate", "--help"]).output.split())
