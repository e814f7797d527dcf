"""People at their screens: each claims images, answers, takes back, skips, and now and then closes the tab."""

import random
import threading
import time
import uuid

from chaos.outbox import Json, NoReply, Outbox, Refused, Wire

WANT = 6  # images at hand, as static/prefetch.js
PULSE = 2.0  # seconds between heartbeats
KINDS, ODDS = ("label", "skip", "unsure", "flag"), (90, 5, 4, 1)


class Person(threading.Thread):
    """One browser with one tab; its outbox outlives the tab."""

    def __init__(self, name: str, port: int, truth: dict[int, int], pause: float, seed: int) -> None:
        super().__init__(daemon=True, name=name)
        self.truth, self.pause, self.rng = truth, pause, random.Random(seed)
        self.wire = Wire(port, name)
        self.outbox = Outbox(Wire(port, name))
        self.leaving = threading.Event()
        self.items: list[int] = []
        self.last: Json | None = None
        self.tab = self._uuid()
        self._pulse_due = 0.0

    @property
    def refusals(self) -> list[Refused]:
        return self.wire.refusals + self.outbox.wire.refusals

    def start(self) -> None:
        self.outbox.start()
        super().start()

    def leave(self) -> None:
        """Stop answering and sending; what waits stays in the outbox."""
        self.leaving.set()
        self.outbox.closing.set()
        self.join()
        self.outbox.join()
        self.wire.connection.close()
        self.outbox.wire.connection.close()

    def run(self) -> None:
        while not self.leaving.wait(self.rng.expovariate(1 / self.pause)):
            self._keep_leases()
            if len(self.items) <= WANT // 2:
                self._claim()
            if self.items:
                self._act()

    def _act(self) -> None:
        draw = self.rng.random()
        if draw < 0.02:
            self._close_tab()
        elif draw < 0.07 and self.last:
            self._undo(self.last)
        else:
            self._answer(self.items.pop(0))

    def _answer(self, image: int) -> None:
        (kind,) = self.rng.choices(KINDS, ODDS)
        self.last = self._about(image, kind) | {"class": self.truth[image] if kind == "label" else None}
        self.outbox.add(self.last)

    def _undo(self, answer: Json) -> None:
        self.outbox.add(self._about(answer["image"], "undo") | {"undoes": answer["uuid"]})
        self.items.insert(0, answer["image"])
        self.last = None

    def _about(self, image: int, kind: str) -> Json:
        return {"tab": self.tab, "uuid": self._uuid(), "image": image, "kind": kind, "seconds": self.pause}

    def _close_tab(self) -> None:
        self._try("/api/release", images=None)
        self.tab, self.items, self.last = self._uuid(), [], None

    def _claim(self) -> None:
        have = self.items + self.outbox.images
        reply = self._try("/api/next", count=WANT - len(self.items), have=have)
        self.items += [item["image"] for item in reply.get("items", []) if item["image"] not in have]

    def _keep_leases(self) -> None:
        if time.monotonic() > self._pulse_due:
            self._try("/api/heartbeat", images=self.items)
            self._pulse_due = time.monotonic() + PULSE

    def _try(self, path: str, **body: object) -> Json:
        """The reply, or nothing: the next turn tries again."""
        try:
            return self.wire.post(path, {"tab": self.tab, **body})
        except (NoReply, Refused):
            return {}

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
