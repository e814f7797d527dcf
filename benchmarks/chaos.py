"""The full form of tests/chaos: does every acknowledged answer survive kill -9, and does learning go on?

    python benchmarks/chaos.py [--variant plain|clock|network] [--kills 100] [--labels 1000]

Real server, real learning process, eight people with outboxes. Prints the table of docs/durability.md and writes
results/chaos-VARIANT.json. Fails when any promise was broken.
"""

import statistics
import sys
import tempfile
from bisect import bisect_left
from pathlib import Path
from typing import Any

import click
from machine import save

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from chaos.campaign import Campaign, Kill, Plan
from chaos.verdict import Verdict

SHARES = {
    "server": 20,
    "learning process": 20,
    "both at once": 20,
    "again while starting": 10,
    "between commit and reply": 15,
    "inside training": 15,
}  # percent


def spread(kills: int) -> dict[str, int]:
    """So many kills, over the kinds; at least one of each."""
    return {kind: max(1, round(kills * share / 100)) for kind, share in SHARES.items()}


def rows(campaign: Campaign, verdict: Verdict) -> list[dict[str, Any]]:
    """One for each kind of kill, and one for all. An answer counts for the kill before which it was acknowledged."""
    kills, times = campaign.kills, [kill.at for kill in campaign.kills]
    before: list[set[str]] = [set() for _ in range(len(kills) + 1)]
    for at, answer in campaign.acknowledged:
        before[bisect_left(times, at)].add(answer["uuid"])
    found = []
    for kind in SHARES:
        uuids = set().union(*(before[i] for i, kill in enumerate(kills) if kill.kind == kind))
        found.append(row(kind, [kill for kill in kills if kill.kind == kind], uuids, verdict))
    return [*found, row("all, and after the last", kills, set().union(*before), verdict)]


def row(kind: str, kills: list[Kill], uuids: set[str], verdict: Verdict) -> dict[str, Any]:
    seconds = [kill.recovered for kill in kills if kill.recovered is not None]
    return {
        "killed": kind,
        "kills": len(kills),
        "acknowledged": len(uuids),
        "present": len(uuids - verdict.lost),
        "lost": len(uuids & verdict.lost),
        "doubled": len(uuids & verdict.doubled),
        "in outboxes at the kill": sum(len(kill.waiting) for kill in kills),
        "rounds completed after": len(seconds),
        "seconds to that round, median": round(statistics.median(seconds), 1),
        "slowest": round(max(seconds), 1),
    }


def markdown(table: list[dict[str, Any]]) -> str:
    lines = [list(table[0]), ["---"] * len(table[0]), *([str(value) for value in each.values()] for each in table)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@click.command()
@click.option("--variant", type=click.Choice(["plain", "clock", "network"]), default="plain", show_default=True)
@click.option("--kills", default=100, show_default=True)
@click.option("--labels", default=1000, show_default=True, help="Acknowledged at least.")
@click.option("--people", default=8, show_default=True)
@click.option("--pause", default=2.5, show_default=True, help="Mean seconds between two answers of a person.")
@click.option("--seed", default=0, show_default=True)
def main(variant: str, kills: int, labels: int, people: int, pause: float, seed: int) -> None:
    plan = Plan(
        spread(kills), labels, images=max(1797, 50 * kills), people=people, pause=pause, seed=seed,
        jumping_clock=variant == "clock", bad_network=variant == "network",
    )  # fmt: skip
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-", dir=Path.cwd()) as name,
        Campaign(plan, Path(name), click.echo) as campaign,
    ):
        verdict = campaign.run()
        table = rows(campaign, verdict)
    result = {"variant": variant, "people": people, "pause_s": pause, "seed": seed, "table": table}
    result |= {"faults": verdict.faults, "late": verdict.late, "clock_jumps": campaign.jumps}
    result |= {"requests": dict(campaign.proxy.fates) if campaign.proxy else None}
    click.echo(markdown(table))
    click.echo(save(f"chaos-{variant}", result))
    if verdict.found:
        raise click.ClickException(f"broken promises: {verdict.found}")


if __name__ == "__main__":
    main()
