"""How a project learns, changed on its page: checked, stored, and followed by the next round."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from test_pages import Browser

from annotator import create_app, settings
from annotator.cli import main
from annotator.pages.settings import HIDDEN
from annotator.store import db as store
from annotator.store import project
from learner.acquisition import STRATEGIES, for_people
from learner.settings import as_dict
from learner.training import METHODS


@pytest.fixture
def browser(instance: Path) -> Browser:
    return Browser(create_app(instance).test_client())


def learning(instance: Path) -> settings.Learning:
    db = store.connect(instance / store.FILE)
    found = settings.of_project(db)
    db.close()
    return found


def save(browser: Browser, **body: object):
    return browser.post("/api/settings", {"method": "propagate", "strategy": "margin"} | body)


def test_the_page_has_every_method_strategy_and_setting(browser):
    html = browser.client.get("/settings").text
    for name, row in (METHODS | {name: STRATEGIES[name] for name in for_people()}).items():
        assert f'value="{name}"' in html
        assert row.summary in html.replace("&#39;", "'")
        for setting in as_dict(row.settings()):
            assert (f'id="{name}-{setting}"' in html) is (setting not in HIDDEN)


def test_what_is_saved_is_what_the_next_round_does(browser, instance):
    body = {
        "method": "fixmatch", "method_settings": {"preset": "quick", "steps": "50", "alignment": "yes"},
        "strategy": "typiclust", "strategy_settings": {"neighbors": "7"}, "loop": {"query_size": "5"},
    }  # fmt: skip
    answer = save(browser, **body).json
    assert (answer["ok"], answer["method"], answer["loop"]["query_size"]) == (True, "fixmatch", 5)
    found = learning(instance)
    assert (found.method.name, found.strategy.name, found.loop.query_size) == ("fixmatch", "typiclust", 5)
    chosen = found.method.settings
    assert (chosen.preset, chosen.steps, chosen.mu, chosen.alignment) == ("quick", 50, 4, True)
    assert found.strategy.settings.neighbors == 7
    html = browser.client.get("/settings").text
    assert 'value="fixmatch" checked' in html
    assert 'id="fixmatch-steps" name="steps" value="50"' in html
    assert '<option value="quick" selected>' in html


def test_what_is_left_out_is_as_usual_again(browser, instance):
    save(browser, method_settings={"alpha": "0.5"}, loop={"query_size": "5"})
    save(browser)
    assert learning(instance).method.settings.alpha == 0
    assert learning(instance).loop.query_size == 20


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"method": "magic"}, "unknown method 'magic'; choose from auto"),
        ({"strategy": "magic"}, "unknown strategy 'magic'"),
        ({"method_settings": {"alpha": "much"}}, "must be of type float"),
        ({"method_settings": {"alpha": "7"}}, "lies from 0 to 0.99"),
        ({"method_settings": {"cat": "1"}}, "unknown setting 'cat'"),
        ({"loop": {"query_size": "0"}}, "lies from 1 to"),
        ({"loop": [1]}, "must be of type dict"),
        ({"loop": {"query_size": 5}}, "must be of type str"),
        ({"method": None}, "must be of type str"),
        ({"method_settings": {"weights": "/etc/passwd"}}, "only be set on the command line"),
        ({"loop": {"seed": "3"}}, "only be set on the command line"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_changes_nothing(browser, instance, body, said):
    before = learning(instance)
    answer = save(browser, **body)
    assert answer.status_code == 400
    assert said in answer.json["error"]
    assert "\n" not in answer.json["error"]
    assert learning(instance) == before


def test_what_only_the_command_line_says_stays(browser, instance):
    db = store.connect(instance / store.FILE)
    with store.write(db):
        told = {"method": "frozen", "method_settings": {"weights": "/w.pth", "steps": "9"}, "loop": {"seed": 4}}
        project.put(db, learning=told)
    db.close()
    save(browser, method="frozen", method_settings={"dropout": "0.1"})
    found = learning(instance)
    assert (found.method.settings.weights, found.method.settings.steps, found.loop.seed) == ("/w.pth", 400, 4)
    assert "/w.pth" not in browser.client.get("/settings").text
    save(browser, method="propagate")
    assert learning(instance).method.settings.weights == ""


def test_values_are_shown_as_text(browser):
    hostile = '"><script>alert(1)</script>'
    save(browser, method="frozen", method_settings={"features": hostile})
    html = browser.client.get("/settings").text
    assert hostile not in html
    assert "&lt;script&gt;" in html


def test_a_file_of_weights_is_named_on_the_command_line(tmp_path):
    (tmp_path / "w.pth").write_text("no weights")
    arguments = ["simulate", "--method", "frozen", "--method-set", "features=timm:test_resnet@32"]
    arguments += ["--weights", str(tmp_path / "w.pth"), "-o", str(tmp_path / "out"), "--quiet", "--seeds", "1"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert f"{tmp_path / 'w.pth'} holds no plain weights" in done.output
    done = CliRunner().invoke(main, [*arguments[:3], "--weights", str(tmp_path / "nothing")])
    assert done.exit_code == 2
