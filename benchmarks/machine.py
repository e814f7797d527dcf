"""What stands beside every number: the command, the device, the versions, the date."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from learner.benchmark.provenance import device, versions

PACKAGES = ("torch", "timm", "scikit-learn", "numpy", "flask", "waitress")
RESULTS = Path(__file__).parent / "results"


def about() -> dict[str, Any]:
    """Command, device, date and versions."""
    command = " ".join(["python", "benchmarks/" + Path(sys.argv[0]).name, *map(bare, sys.argv[1:])])
    return {
        "command": command,
        "device": device(),
        "date": today(),
        "versions": versions(PACKAGES),
    }


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def bare(argument: str) -> str:
    """Without the folders of this machine, in NAME=PATH too."""
    name, is_pair, value = argument.rpartition("=")
    return f"{name}{is_pair}{Path(value).name}" if value.startswith("/") else argument


def save(name: str, result: dict[str, Any]) -> Path:
    """Write results/NAME.json."""
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(about() | result, indent=1) + "\n")
    return path
