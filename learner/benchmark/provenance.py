"""What stands beside every number: the device, the versions, the revision of the code."""

import os
import platform
import subprocess
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("annotator", "torch", "torchvision", "timm", "scikit-learn", "numpy")


@cache
def device() -> str:
    """The graphics card where there is one, else the processor."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    models = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return f"{os.cpu_count()} cores of {next(models, platform.processor())}"


@cache
def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Of what is installed."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


@cache
def revision() -> str:
    """Of the checkout that this code runs from, with a + where files were changed; empty outside of one."""
    here = Path(__file__).parent
    try:
        found = _git(here, "rev-parse", "--short=12", "HEAD")
        inside = _git(here, "ls-files", Path(__file__).name)
        return found + ("+" if _git(here, "status", "--porcelain", "-uno") else "") if inside else ""
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
