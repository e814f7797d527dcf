"""What stands beside every number: the command, the device, the versions, the date."""

import json
import os
import platform
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def device() -> str:
    """The GPU where there is one, else the processor."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    model = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    return f"{os.cpu_count()} cores of {model}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def about() -> dict[str, Any]:
    """Command, device, date and versions."""
    command = " ".join(["python", "benchmarks/" + Path(sys.argv[0]).name, *map(_bare, sys.argv[1:])])
    return {"command": command, "device": device(), "date": f"{datetime.now(UTC):%Y-%m-%d}", "versions": _versions()}


def _bare(argument: str) -> str:
    """Without the folders of this machine."""
    return Path(argument).name if argument.startswith("/") else argument


def _versions() -> dict[str, str]:
    """Of what is installed."""
    found = {}
    for package in ("torch", "timm", "scikit-learn", "numpy", "flask", "waitress"):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def save(name: str, result: dict[str, Any]) -> Path:
    """Write results/NAME.json."""
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(about() | result, indent=1) + "\n")
    return path
