"""A whole run: people answer, processes are killed, a round completes after each, and the file is judged."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from chaos.outbox import Json
from chaos.people import Person
from chaos.proxy import Proxy
from chaos.verdict import Verdict, judge
from chaos.world import World, until

HOURS = 3 * 3600.0


@dataclass(frozen=True)
class Plan:
    """How much of what. `kills`: how many of each kind in KILLS, in an order drawn from the seed."""

    kills: dict[str, int]
    labels: int = 0  # acknowledged at least
    images: int = 1797
    people: int = 8
    pause: float = 1.5  # mean seconds between two answers of a person
    jumping_clock: bool = False
    bad_network: bool = False
    seed: int = 0


@dataclass
class Kill:
    """One kill and what came of it."""

    kind: str
    at: float = 0.0  # monotonic
    waiting: set[str] = field(default_factory=set)  # uuids in outboxes at that moment
    unsaid: str | None = None  # uuid that was committed and not acknowledged
    recovered: float | None = None  # seconds until a later learning process had completed a round


class Campaign:
    """Runs a plan in a folder. Use as a context: nothing stays behind."""

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None] = lambda line: None) -> None:
        self.plan, self.say, self.rng = plan, say, random.Random(plan.seed)
        self.world = World(folder, plan.images)
        self.kills: list[Kill] = []
        self.people: list[Person] = []
        self.jumps = 0
        self.proxy = Proxy(self.world.port, plan.seed) if plan.bad_network else None
        self._over = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> "Campaign":
        self._stack.callback(self.world.clean_up)
        if self.proxy:
            self._stack.callback(self.proxy.close)
        self._stack.callback(self._over.set)
        self._stack.callback(self._send_home)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self) -> Verdict:
        self._open()
        order = [kind for kind, count in self.plan.kills.items() for _ in range(count)]
        self.rng.shuffle(order)
        for kind in order:
            self._kill(kind)
        until(lambda: len(self.acknowledged) >= self.plan.labels, "enough answers", 1800)
        return self._close()

    @property
    def acknowledged(self) -> list[tuple[float, Json]]:
        return [each for person in self.people for each in person.outbox.acknowledged]

    @property
    def locked(self) -> int:
        """Refusals because of a lock."""
        return sum("locked" in str(refused) for person in self.people for refused in person.refusals)

    def _open(self) -> None:
        """Server, images, people; then a first round."""
        world, plan = self.world, self.plan
        world.start()
        until(world.answers, "the server answers")
        until(world.is_imported, "the images are read")
        port, truth = self.proxy.port if self.proxy else world.port, world.truth()
        for number in range(plan.people):
            self.people.append(Person(f"person {number}", port, truth, plan.pause, plan.seed * 1000 + number))
        for person in self.people:
            person.start()
        if plan.jumping_clock:
            threading.Thread(target=self._turn_clock, daemon=True).start()
        until(world.rounds, "a first round completes")

    def _close(self) -> Verdict:
        """Everybody stops, every outbox empties, the server ends; then the file is read."""
        for person in self.people:
            person.leaving.set()
        for person in self.people:
            person.join()
        until(lambda: not any(person.outbox.waiting for person in self.people), "every outbox is empty")
        self._over.set()
        self._send_home()
        ended = self.world.end()
        yes = [answer for _, answer in self.acknowledged]
        aside = [answer for person in self.people for answer, _ in person.outbox.aside]
        verdict = judge(self.world.file, yes, {answer["uuid"] for answer in yes + aside})
        verdict.faults |= {
            "answers set aside": len(aside),
            "locked errors": self.locked,
            "kills without a round afterwards": sum(kill.recovered is None for kill in self.kills),
            "replies lost after the commit, not recognised": len(self._unsaid() - self._recognised()),
            "servers that did not end properly": int(ended != 0),
        }
        return verdict

    def _unsaid(self) -> set[str]:
        return {kill.unsaid for kill in self.kills if kill.unsaid}

    def _recognised(self) -> set[str]:
        return set().union(*(person.outbox.already_stored for person in self.people))

    def _send_home(self) -> None:
        for person in self.people:
            person.leave()

    def _turn_clock(self) -> None:
        """The wall clock jumps within three hours of the truth, every few seconds."""
        rng = random.Random(self.plan.seed)
        while not self._over.wait(rng.uniform(2, 10)):
            self.world.turn_clock(rng.uniform(-HOURS, HOURS))
            self.jumps += 1

    # ---- kills

    def _kill(self, kind: str) -> None:
        """One kill of a kind; returns when a round of a later learning process has completed."""
        kill, owner = Kill(kind), self.world.owner()
        KILLS[kind](self, kill)
        self.kills.append(kill)
        until(self.world.answers, "the server answers")
        until(lambda: self.world.owner() not in (None, owner), f"a learning process takes over after a kill: {kind}")
        before = self.world.rounds()
        until(lambda: self.world.rounds() - before, f"a round completes after a kill: {kind}", every=0.1)
        kill.recovered = time.monotonic() - kill.at
        self.say(f"{len(self.kills)}. {kind}: a round after {kill.recovered:.1f} s, {len(self.acknowledged)} answers")

    def _random_moment(self) -> None:
        time.sleep(self.rng.uniform(0, 3))

    def _strike(self, kill: Kill, *pids: int | None) -> None:
        self.world.kill(*(pid for pid in pids if pid))
        self._note(kill)

    def _note(self, kill: Kill) -> None:
        """When, and what waited in the outboxes at that moment."""
        kill.at = time.monotonic()
        kill.waiting = {answer["uuid"] for person in self.people for answer in list(person.outbox.waiting)}

    def kill_server(self, kill: Kill) -> None:
        """At a random moment."""
        self._random_moment()
        self._strike(kill, self.world.server.pid)
        self.world.start()

    def kill_learner(self, kill: Kill) -> None:
        """At a random moment."""
        self._random_moment()
        self._strike(kill, until(self.world.learner, "there is a learning process"))

    def kill_both(self, kill: Kill) -> None:
        """At a random moment, as when the memory runs out."""
        self._random_moment()
        self._strike(kill, self.world.server.pid, self.world.learner())
        self.world.start()

    def kill_starting(self, kill: Kill) -> None:
        """Both again, within three seconds of a start."""
        self.world.kill(self.world.server.pid)
        self.world.start()
        self.kill_both(kill)

    def kill_before_reply(self, kill: Kill) -> None:
        """The server, after the commit of an answer and before its reply."""
        (self.world.folder / "die").touch()
        until(lambda: self.world.server.poll() is not None, "the server dies before a reply", every=0.005)
        self._note(kill)
        kill.unsaid = (self.world.folder / "died").read_text()
        assert kill.unsaid in kill.waiting, "an answer was acknowledged before its reply"
        self.world.start()

    def kill_training(self, kill: Kill) -> None:
        """The learning process, in a round that has left no model: still so when the process is dead."""
        until(self.world.is_training, "a round trains", every=0.005)
        self._strike(kill, self.world.learner())
        if not self.world.has_open_round():  # too late: once more
            self.kill_training(kill)


KILLS: dict[str, Callable[[Campaign, Kill], None]] = {
    "server": Campaign.kill_server,
    "learning process": Campaign.kill_learner,
    "both at once": Campaign.kill_both,
    "again while starting": Campaign.kill_starting,
    "between commit and reply": Campaign.kill_before_reply,
    "inside training": Campaign.kill_training,
}
