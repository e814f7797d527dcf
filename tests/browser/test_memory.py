"""A long day: the page after thousands of images holds as much as after the first hundreds."""

from pathlib import Path

import numpy as np
import pytest
from browsing import Labeler, Server, read
from long_day import COUNT_ADDRESSES, KEYS, held
from PIL import Image
from playwright.sync_api import BrowserContext, CDPSession

EARLY = 200  # images after which everything that is kept on purpose is there


@pytest.fixture
def many(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder of tiny images, each another one."""
    folder = tmp_path / "many"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(request.param):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{number:04d}.png")
    return folder


@pytest.fixture
def tools(context: BrowserContext) -> CDPSession:
    return context.new_cdp_session(context.new_page())


@pytest.mark.parametrize(
    "many", [pytest.param(600, marks=pytest.mark.long), pytest.param(2000, marks=pytest.mark.slow)], indirect=True
)
def test_memory_does_not_grow_with_the_images_answered(
    context: BrowserContext, tools: CDPSession, many: Path, tmp_path: Path
) -> None:
    total = len(list(many.iterdir()))
    context.add_init_script(COUNT_ADDRESSES)
    (page,) = context.pages
    with Server(many, tmp_path / "instance", "cat,dog", "--no-learner") as server:
        labeler = Labeler(page, server.url, {}).open()
        page.evaluate(KEYS, EARLY)
        labeler.saved()
        early = held(tools)
        for _ in range(EARLY, total - EARLY, EARLY):  # the server keeps up with people, not with this
            page.evaluate(KEYS, EARLY)
            labeler.saved()
        late = held(tools)
        growth = {name: late[name] - early[name] for name in early}
        assert read(tmp_path / "instance" / "labels.db", "SELECT count(*) FROM labels") == [(total - EARLY,)]
        page.close()
    assert growth["bytes"] < 1_000_000, growth  # the last 500 answers are kept for undo
    assert growth["nodes"] < 100, growth
    assert growth["listeners"] < 50, growth
    assert growth["images"] < 10, growth
    assert late["addresses"] == early["addresses"] == 0
