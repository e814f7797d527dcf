"""docs/strategies.md and the label page know every strategy, and say of it what the registry says."""

import re
from pathlib import Path

import pytest

from learner.acquisition import STRATEGIES, auto, for_people, needs_no_model
from learner.settings import as_dict

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "strategies.md").read_text()
NEEDS = {
    "probs": "a prediction", "mc": "stochastic predictions", "samples": "samples of them", "embedding": "an embedding",
    "penultimate": "the model's features", "head": "the model's last layer",
    "truth": "the truth",
}  # fmt: skip


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_table_says_what_the_registry_says(name):
    row = STRATEGIES[name]
    needs = ", ".join(text for need, text in NEEDS.items() if need in row.needs) or "nothing"
    settings = ", ".join(f"`{key}`" for key in as_dict(row.settings()))
    assert f"| `{name}` | {row.summary} | {needs} | {row.stage} | {settings} | {row.paper} |" in PAGE


def test_the_table_of_auto_is_its_schedule():
    table = PAGE[PAGE.index("## auto") : PAGE.index("## What choosing is worth")]
    found = re.findall(r"^\|(.*?)\| (?:below \d+|from (\d+)|none yet) \| `(\w+)` \|$", table, re.M)
    schedules: dict[str, list[tuple[float, str]]] = {}
    method = ""
    for methods, start, name in found[1:]:
        method = methods.strip() or method
        schedules.setdefault(method, []).append((float(start or 0), name))
    assert {tuple(value) for value in schedules.values()} == set(auto.SCHEDULE.values())
    for methods, schedule in schedules.items():
        for name in re.findall(r"`(\w+)`", methods):
            assert auto.SCHEDULE[auto.KINDS[name]] == tuple(schedule)


def test_the_label_page_says_why_for_everything_that_no_model_explains():
    words = (ROOT / "static" / "words.js").read_text()
    block = words[words.index("const CHOICES = {") : words.index("}", words.index("const CHOICES = {"))]
    assert set(re.findall(r"^  (\w+):", block, re.M)) == {name for name in for_people() if needs_no_model(name)} - {
        "auto"
    }
