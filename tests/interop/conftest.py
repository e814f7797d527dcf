"""These tests import what only the extras bring: they are looked at where they are asked for, and fail without it."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    wanted = config.option.markexpr.replace("not interop", "")
    return None if "interop" in wanted else True
