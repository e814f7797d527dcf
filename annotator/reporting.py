"""Text for terminals."""

from typing import Any


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def status_text(progress: dict[str, Any]) -> str:
    """`annotator status`, as a person reads it."""
    status = progress["status"]
    learner, query = status["learner"], status["query"]
    lines = [
        f"{status['labels']} labels, {status['pool']} of {status['images']} images without an answer, "
        f"{status['problems']} files set aside",
        f"query of round {query['round']}: {query['answered']} of {query['size']} answered",
        f"audit: {status['audit']['labeled']} of {status['audit']['size']} labeled; {_accuracy(status)}",
        f"learner: {learner['activity'] if learner['alive'] else 'not running'}"
        + (f"; {learner['error']}" if learner["error"] else ""),
    ]
    lines += [f"  {row['name']}: {row['labels']}" for row in progress["classes"]]
    used = progress["disk"]
    parts = ", ".join(f"{part} {megabytes(size)}" for part, size in used.items() if size)
    lines.append(f"disk: {megabytes(sum(used.values()))} ({parts})")
    return "\n".join(lines)


def _accuracy(status: dict[str, Any]) -> str:
    found = status["accuracy"]
    if found is None:
        return f"an accuracy needs {status['audit']['needed']}"
    return f"accuracy {percent(found['value'])} ({percent(found['low'])} to {percent(found['high'])}, n = {found['n']})"
