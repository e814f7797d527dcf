"""These tests import what only the extras bring: they are looked at where they are asked for, and fail without it."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if "not interop" in config.option.markexpr else None
