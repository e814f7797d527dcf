"""Text for terminals."""

from collections.abc import Iterable
from typing import Any

from annotator.importing.rows import shown
from annotator.importing.taking import NotTaken, Outcome, Wish


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


def import_text(kind: str, outcome: Outcome, first: list[NotTaken], wish: Wish) -> str:
    """What an import did, or would do, and the first rows that it left out."""
    by = ", ".join(f"{count:,} by {how}" for how, count in outcome.matched.most_common()) or "none known"
    dry_run, what = wish.dry_run, "suggestions" if wish.suggestions else "labels"
    lines = [
        f"{kind}: {outcome.rows:,} rows, images {by}",
        f"{outcome.added:,} {what} {'would be ' if dry_run else ''}added, {outcome.there:,} there already, "
        f"{outcome.conflicts:,} against a person's answer, {outcome.refused:,} refused, "
        f"{outcome.empty:,} without an answer",
    ]
    if outcome.new_classes:
        lines.append(f"{'would add ' if dry_run else ''}new classes: {_few(outcome.new_classes)}")
    elif outcome.unknown:
        lines.append(f"unknown classes: {_few(f'{name} ({n:,})' for name, n in outcome.unknown.most_common())}")
    lines += [f"line {row.line}: {shown(row.path)}: {shown(row.reason)}" for row in first]
    left_out = outcome.refused + outcome.conflicts
    if left_out > len(first):
        lines.append(f"and {left_out - len(first):,} more; --report FILE.csv lists them all")
    return "\n".join(lines)


def _few(names: Iterable[str]) -> str:
    listed = [shown(name, 60) for name in names]
    return ", ".join(listed[:20]) + (f" and {len(listed) - 20:,} more" if len(listed) > 20 else "")
