"""What kind of file is this? From its name, and where that does not say, from how it begins."""

from pathlib import Path

from annotator.errors import AnnotatorError
from annotator.importing import SOURCES

_HEAD = 2**16  # bytes


def kind_of(path: Path) -> str:
    """The name of its source. Raises AnnotatorError for what no source reads."""
    if path.is_dir():
        return "classfolders"
    with path.open("rb") as file:
        start = file.read(_HEAD)
    by_name = next((name for name, row in SOURCES.items() if path.suffix.lower() in row.suffixes), "")
    if by_name not in ("", "jsonl"):
        return by_name
    if start.startswith(b"PAR1"):
        return "parquet"
    return _by_content(start.decode("utf-8-sig", "replace").lstrip(), path.name)


def _by_content(start: str, name: str) -> str:
    if start.startswith("{"):
        return "prodigy" if _is_prodigy(start.partition("\n")[0]) else "jsonl"
    if start.startswith("["):
        return "labelstudio"
    if "\0" in start or not start:
        raise AnnotatorError(f"{name} holds no labels that are known; name its kind with --format")
    return "csv" if not name.lower().endswith(SOURCES["jsonl"].suffixes) else "jsonl"


def _is_prodigy(line: str) -> bool:
    """Does the first object have an answer, as Prodigy writes it? Only the start of it may be there."""
    return '"answer"' in line and any(f'"{key}"' in line for key in ("accept", "_view_id", "_input_hash"))
