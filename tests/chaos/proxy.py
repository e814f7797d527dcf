"""A bad network: by a seeded draw a request is lost, its reply is lost, it is late, or it arrives twice."""

import http.client
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FATES = {"passed": 70, "request lost": 8, "reply lost": 8, "delayed": 8, "twice": 3, "again later": 3}
_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


class Proxy:
    """Listens on a port of its own and passes on to `target`, mostly."""

    def __init__(self, target: int, seed: int) -> None:
        self.target, self.fates = target, Counter[str]()
        self._rng, self._turn = random.Random(seed), threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def draw(self) -> tuple[str, float]:
        """What happens to a request, and how late."""
        with self._turn:
            (fate,) = self._rng.choices(list(FATES), list(FATES.values()))
            self.fates[fate] += 1
            return fate, self._rng.uniform(0.05, 1.0)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fate, late = self.proxy.draw()
        if fate == "request lost":
            self.close_connection = True
            return
        if fate == "delayed":
            time.sleep(late)
        if fate == "again later":
            threading.Timer(late, self._ask, [body]).start()
        reply = self._ask(body)
        if fate == "twice":
            reply = self._ask(body) or reply
        if reply is None or fate == "reply lost":
            self.close_connection = True
            return
        self._pass(*reply)

    def do_GET(self) -> None:
        self.do_POST()

    def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes] | None:
        """The server's reply, or None when it has none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.target, timeout=30)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            reply = connection.getresponse()
            return reply, reply.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _pass(self, reply: http.client.HTTPResponse, body: bytes) -> None:
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""
