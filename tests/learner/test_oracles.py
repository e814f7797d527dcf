"""Who answers in a simulation: rates against closed forms, and the same answers in every process."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.config import LoopSettings, PropagateSettings
from learner.errors import BadSetting, UnknownName
from learner.oracles import ORACLES, answers, confusion, forms
from learner.settings import Choice
from learner.simulate import Cell, run_cell

CLASSES = np.arange(40_000) % 4


def said(text, seed=0):
    return answers(text, CLASSES, 4, np.random.default_rng(seed))


def test_the_truth_is_the_truth():
    assert (said("ground-truth") == CLASSES).all()


def test_symmetric_noise_is_wrong_at_its_rate_and_every_other_class_alike():
    found = np.array([np.bincount(said("noisy:0.3")[c == CLASSES], minlength=4) for c in range(4)]) / 10_000
    assert found == pytest.approx(np.full((4, 4), 0.1) + 0.6 * np.eye(4), abs=0.02)  # five standard deviations


def test_a_confusion_matrix_of_counts_is_scaled_line_by_line(tmp_path):
    path = tmp_path / "confusion.csv"
    path.write_text("8,2,0,0\n0,1,0,0\n0,0,30,10\n1,1,1,1\n")
    truth = np.array([[0.8, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 0.75, 0.25], [0.25] * 4])
    assert confusion(str(path), 4) == pytest.approx(truth)
    found = np.array([np.bincount(said(f"noisy:{path}")[c == CLASSES], minlength=4) for c in range(4)]) / 10_000
    assert found == pytest.approx(truth, abs=0.025)
    assert not found[truth == 0].any()


@given(st.floats(0, 1), st.integers(2, 30))
def test_the_rows_of_a_rate_add_up_to_one(rate, num_classes):
    matrix = confusion(repr(rate), num_classes)
    assert matrix.sum(axis=1) == pytest.approx(np.ones(num_classes))
    assert np.diag(matrix) == pytest.approx(np.full(num_classes, 1 - rate))


@pytest.mark.parametrize("argument", ["1.2", "-0.1", "nan", "nowhere.csv"])
def test_what_is_no_noise_is_refused_and_named(argument):
    with pytest.raises(BadSetting, match=argument):
        said(f"noisy:{argument}")


@pytest.mark.parametrize("lines", ["1,2\n3,4\n", "1,2,3\n", "0,0,0\n1,1,1\n1,1,1\n", "1,-1,1\n1,1,1\n1,1,1\n", "a,b\n"])
def test_what_is_no_confusion_matrix_of_three_classes_is_refused(tmp_path, lines):
    path = tmp_path / "confusion.csv"
    path.write_text(lines)
    with pytest.raises(BadSetting, match=r"confusion\.csv"):
        confusion(str(path), 3)


@pytest.mark.parametrize("text", ["nobody", "noisy", "noisy:", "ground-truth:0.5"])
def test_an_unknown_oracle_lists_those_there_are(text):
    with pytest.raises(UnknownName, match="ground-truth, noisy:RATE"):
        said(text)


def test_every_oracle_has_a_form():
    assert len(forms()) == len(ORACLES)


def test_noise_of_one_seed_is_the_same_for_every_strategy_and_costs_accuracy():
    def cell(oracle, strategy):
        settings = LoopSettings(budgets=(20, 60), cold_start="random", tail_size=0, full_query_only=True, seed=3)
        return Cell("digits", Choice("propagate", PropagateSettings()), Choice(strategy), settings, oracle, 2.5)

    noisy, clean = run_cell(cell("noisy:0.5", "random")), run_cell(cell("ground-truth", "random"))
    assert noisy[-1]["asked"] == clean[-1]["asked"]  # what is random draws from elsewhere
    assert noisy[-1]["accuracy"] < clean[-1]["accuracy"] - 0.1
    assert run_cell(cell("noisy:0.5", "margin"))[0]["labels_per_class"] == noisy[0]["labels_per_class"]
    assert [row["human_seconds"] for row in noisy] == [50.0, 150.0]


def test_the_key_of_a_cell_changes_with_everything_that_decides_its_rows():
    settings = LoopSettings(seed=1)
    first = Cell("digits", Choice("propagate", PropagateSettings()), Choice("random"), settings)
    others = [
        Cell("digits@modified", first.method, first.strategy, settings),
        Cell("digits", Choice("propagate", PropagateSettings(alpha=0.5)), first.strategy, settings),
        Cell("digits", first.method, Choice("margin"), settings),
        Cell("digits", first.method, first.strategy, LoopSettings(seed=2)),
        Cell("digits", first.method, first.strategy, settings, "noisy:0.1"),
        Cell("digits", first.method, first.strategy, settings, seconds_per_label=1.0),
    ]
    assert len({cell.key for cell in [first, *others]}) == 7
    assert first.key == Cell("digits", Choice("propagate", PropagateSettings()), Choice("random"), settings).key
