"""Settings: declared once, resolved in layers, never silently wrong."""

import dataclasses
import math

import pytest

from annotator.export import FORMATS
from learner.acquisition import STRATEGIES
from learner.config import BasicSettings, FixmatchSettings, LoopSettings, PropagateSettings, SslSettings
from learner.errors import BadSetting
from learner.settings import resolve
from learner.training import METHODS

ROWS = {**METHODS, **STRATEGIES, **FORMATS}


def test_later_layers_win_and_text_becomes_numbers():
    found = resolve(LoopSettings, {"query_size": 5, "pause": 1}, {"query_size": "7", "budgets": "10,20"})
    assert (found.query_size, found.pause, found.budgets) == (7, 1.0, (10, 20))


@pytest.mark.parametrize(
    ("cls", "values", "named"),
    [
        (LoopSettings, {"queries": 3}, "unknown setting 'queries'.*query_size"),
        (LoopSettings, {"query_size": "many"}, "'query_size'.*'many'.*type int"),
        (LoopSettings, {"query_size": 2.5}, "'query_size'.*2.5.*type int"),
        (LoopSettings, {"query_size": 0}, "'query_size'.* 0; it lies from 1"),
        (LoopSettings, {"budgets": "5,-1"}, "'budgets'.*-1"),
        (LoopSettings, {"full_query_only": "perhaps"}, "'full_query_only'.*'perhaps'"),
        (LoopSettings, {"pause": math.nan}, "'pause'.*nan"),
        (PropagateSettings, {"dropout": 1}, "'dropout'.* 1.0; it lies from 0 to 0.95"),
        (BasicSettings, {"bayesian": "all"}, "'bayesian'.*'all'; choose from head, net"),
    ],
)
def test_a_wrong_setting_is_named_with_the_way_out(cls, values, named):
    with pytest.raises(BadSetting, match=named):
        resolve(cls, values)


@pytest.mark.parametrize("name", ROWS)
def test_every_default_is_allowed_and_every_setting_explained(name):
    cls = ROWS[name].settings
    resolve(cls, vars(cls()))
    assert all(field.metadata["help"] for field in dataclasses.fields(cls))


def test_a_preset_lies_between_the_defaults_and_what_is_said():
    paper = resolve(FixmatchSettings, {"preset": "paper"})
    assert (paper.steps, paper.norm_momentum, paper.dropout, paper.mu) == (1_048_576, 0.001, 0.0, 7)
    study = resolve(SslSettings, {"preset": "paper"}, {"preset": "study-2021", "learning_rate": 0.01})
    assert (study.optimizer, study.weight_decay, study.learning_rate) == ("adam", 0.005, 0.01)
    with pytest.raises(BadSetting, match="choose from , paper, study-2021, quick"):
        resolve(FixmatchSettings, {"preset": "best"})


@pytest.mark.parametrize("preset", ["", *FixmatchSettings.presets])
def test_ssl_has_the_net_of_the_study_whatever_the_preset(preset):
    assert resolve(SslSettings, {"preset": preset}).architecture == "wide_resnet50_2"
    assert resolve(SslSettings, {"preset": preset, "architecture": "conv"}).architecture == "conv"


def test_the_preset_of_the_study_is_its_net_from_scratch_with_its_rates():
    found = resolve(BasicSettings, {"preset": "study-2021"}, {"weight_decay": 0.01})
    assert (found.architecture, found.optimizer, found.learning_rate, found.weight_decay) == (
        "wide_resnet50_2", "adam", 0.03, 0.01,
    )  # fmt: skip
