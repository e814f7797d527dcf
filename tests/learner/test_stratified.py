"""Random with the classes known: balanced, an oracle, and never for people."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from strategies import random_candidates

from annotator.project import StoreProject
from annotator.settings import learning
from learner.acquisition import STRATEGIES, auto, for_people
from learner.benchmark.report.tables import tables
from learner.benchmark.study import study
from learner.config import LoopSettings, PropagateSettings
from learner.errors import BadSetting, LearnerError
from learner.loop import advance
from learner.settings import Choice, NoSettings
from learner.simulate import run_cell

select = STRATEGIES["stratified"].load()


def leveled(there: list[int], pool: list[int], size: int) -> list[int]:
    """Labels of each class after always asking a class that has fewest: brute force, sorted."""
    counts, left = list(there), list(pool)
    for _ in range(min(size, sum(left))):
        poorest = min((n, c) for c, n in enumerate(counts) if left[c])[1]
        counts[poorest] += 1
        left[poorest] -= 1
    return sorted(counts)


@hypothesis_settings(max_examples=60, deadline=None)
@given(pool=st.integers(1, 60), labeled=st.integers(0, 20), size=st.integers(1, 70), seed=st.integers(0, 99))
def test_the_classes_come_out_as_level_as_they_can(pool, labeled, size, seed):
    given = random_candidates(np.random.default_rng(seed), pool, labeled, classes=4)
    counted = [np.bincount(given.truth(side.ids), minlength=4).tolist() for side in (given.labeled, given.pool)]
    ids = select(given, size, np.random.default_rng(seed), NoSettings()).ids
    asked = np.bincount(given.truth(ids), minlength=4)
    assert sorted((asked + counted[0]).tolist()) == leveled(*counted, size)


def test_every_image_is_drawn_as_often_as_is_said():
    given = random_candidates(np.random.default_rng(0), 12, classes=3)
    shares, said = Counter(), Counter()
    for seed in range(3000):
        picks = select(given, 3, np.random.default_rng(seed), NoSettings())
        shares.update(picks.ids.tolist())
        said.update(dict(zip(picks.ids.tolist(), picks.probabilities.tolist(), strict=True)))
    classes = given.truth(given.pool.ids)
    for image, kind in zip(given.pool.ids.tolist(), classes.tolist(), strict=True):
        assert shares[image] / 3000 == pytest.approx(1 / (classes == kind).sum(), abs=0.04)
        assert said[image] / shares[image] == pytest.approx(1 / (classes == kind).sum())


def rows_of(oracle: str = "ground-truth") -> list[dict]:
    grid = {"strategy": ["random", "typiclust", "stratified"], "budgets": [20, 30], "seeds": 2, "oracle": oracle}
    return [row for cell in study({"grid": [grid | {"cold_start": "stratified"}]}).cells for row in run_cell(cell)]


def test_it_goes_by_the_truth_even_where_the_answers_are_wrong():
    found = [row for row in rows_of("noisy:0.5") if row["strategy"] == "stratified (oracle)"]
    assert [row["classes_seen"] for row in found] == [10] * 4
    assert {tuple(row["labels_per_class"]) for row in found if row["labels"] == 20} != {(2,) * 10}  # as answered
    assert max(row["total_variation"] for row in found) < 0.02


def test_a_report_shows_it_as_an_oracle_and_tests_it_against_nothing():
    found = {table.name: table for table in tables(rows_of(), "accuracy")}
    for name in ("budgets", "areas", "savings", "selection", "cost"):
        assert "stratified (oracle)" in {line[0] for line in found[name].rows}
    for name in ("pairs", "penalties"):
        assert {line[0] for line in found[name].rows} >= {"random", "typiclust"}
        assert "stratified" not in str(found[name])


@pytest.mark.parametrize("values", [{"strategy": "stratified"}, {"loop": {"cold_start": "stratified"}}])
def test_a_project_cannot_be_told_to_ask_by_it(values):
    with pytest.raises(BadSetting, match="'stratified' needs the class of every image, which only annotator simulate"):
        learning(values)


def test_a_project_that_got_it_all_the_same_refuses_in_one_line(make_instance):
    project = StoreProject(make_instance())
    with pytest.raises(LearnerError, match=r"^the strategy needs the class of every image.*choose another one$"):
        advance(project, Choice("propagate", PropagateSettings()), Choice("stratified"), LoopSettings())
    project.db.close()


def test_neither_people_nor_auto_ever_get_it():
    assert "stratified" not in for_people()
    assert set(for_people()) >= {name for steps in auto.SCHEDULE.values() for _, name in steps}
