"""What the last `annotator replay` found, for pages: read without anything heavy."""

import json
from pathlib import Path
from typing import Any

RESULT = "replay.json"  # in the instance folder


def read(instance: Path) -> dict[str, Any] | None:
    """The verdict and what stands behind it; None before there is one."""
    try:
        found: dict[str, Any] = json.loads((instance / RESULT).read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        return None
