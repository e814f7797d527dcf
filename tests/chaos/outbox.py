"""A browser as far as answers are concerned: what static/api.js and static/outbox.js do, with shorter pauses."""

import http.client
import json
import random
import threading
import time
from collections import deque
from typing import Any

PATIENCE = 5.0  # seconds; a reply that takes longer counts as no reply
LASTING = {400, 404, 409, 410, 413, 422}
PASSING = {"stale-token", "other-project"}  # codes that say: not now
FIRST_WAIT, LONGEST_WAIT = 0.1, 1.0

Json = dict[str, Any]


class NoReply(Exception):
    """Nothing, or half a reply: nobody knows whether the request arrived."""


class Refused(Exception):
    """The server said no."""

    def __init__(self, status: int, answer: Json) -> None:
        super().__init__(answer["error"])
        self.status, self.code = status, answer.get("code")

    @property
    def lasting(self) -> bool:
        return self.status in LASTING and self.code not in PASSING


class Wire:
    """One connection of a person: cookie, CSRF token that renews itself, JSON in and out."""

    def __init__(self, port: int, person: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self.headers = {"Content-Type": "application/json", "X-Person": person}
        self.refusals: list[Refused] = []

    def post(self, path: str, body: Json) -> Json:
        try:
            return self._send("POST", path, body)
        except Refused as refused:
            if refused.code != "stale-token":
                raise
            self.headers["X-CSRFToken"] = self._send("GET", "/api/csrf")["csrf"]
            return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: Json | None = None) -> Json:
        try:
            self.connection.request(method, path, json.dumps(body), self.headers)
            reply = self.connection.getresponse()
            said = json.loads(reply.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.connection.close()
            raise NoReply(repr(error)) from None
        if cookie := reply.getheader("Set-Cookie"):
            self.headers["Cookie"] = cookie.split(";")[0]
        if reply.status // 100 == 2 and said["ok"] is True:
            return said
        self.refusals.append(Refused(reply.status, said))
        raise self.refusals[-1]


class Outbox(threading.Thread):
    """First in, first out; only a yes removes an answer; a retry carries the same uuid."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(daemon=True)
        self.wire = wire
        self.waiting: deque[Json] = deque()
        self.acknowledged: list[tuple[float, Json]] = []  # when (monotonic), and what
        self.already_stored: set[str] = set()  # acknowledged as a duplicate: an earlier reply was lost
        self.aside: list[tuple[Json, str]] = []
        self.closing = threading.Event()
        self._news = threading.Event()

    @property
    def images(self) -> list[int]:
        return [answer["image"] for answer in list(self.waiting)]

    def add(self, answer: Json) -> None:
        self.waiting.append(answer)
        self._news.set()

    def run(self) -> None:
        wait = FIRST_WAIT
        while not self.closing.is_set():
            if self._drain():
                wait = FIRST_WAIT
                self._news.wait(LONGEST_WAIT)
                self._news.clear()
            else:
                self.closing.wait(wait * random.uniform(0.8, 1.2))
                wait = min(2 * wait, LONGEST_WAIT)

    def _drain(self) -> bool:
        """False when the first answer has to be sent again."""
        while self.waiting and not self.closing.is_set():
            answer = self.waiting[0]
            try:
                reply = self.wire.post("/api/label", answer)
            except NoReply:
                return False
            except Refused as refused:
                if not refused.lasting:
                    return False
                self.aside.append((answer, str(refused)))
            else:
                self._note(answer, reply)
            self.waiting.popleft()
        return True

    def _note(self, answer: Json, reply: Json) -> None:
        self.acknowledged.append((time.monotonic(), answer))
        if reply["duplicate"]:
            self.already_stored.add(answer["uuid"])
