"""Large bodies are refused by their headers: what nobody may send is not even received."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import waitress
from waitress import wasyncore
from waitress.server import BaseWSGIServer

from annotator import create_app, door, security

LARGE = security.MAX_UPLOAD_BYTES // 2
TOKEN = "of-the-owner"


@pytest.fixture(params=[TOKEN, None], ids=["private", "open"])
def server(request: pytest.FixtureRequest, instance: Path) -> Iterator[BaseWSGIServer]:
    app = create_app(instance, token=request.param)
    server = waitress.create_server(app, port=0, threads=2, max_request_body_size=security.MAX_UPLOAD_BYTES)
    server.channel_class = door.guarded(app, is_open=request.param is None)
    server.application = app
    over = threading.Event()
    thread = threading.Thread(target=turn, args=(server, over))
    thread.start()
    yield server
    over.set()
    thread.join()
    server.task_dispatcher.shutdown()
    server.close()


def turn(server: BaseWSGIServer, over: threading.Event) -> None:
    while not over.is_set():
        wasyncore.loop(0.05, map=server._map, count=1)


def said(server: BaseWSGIServer, path: str, size: int, cookie: str = "", body: bytes = b"") -> str:
    """The first line of what comes back, although only so much of the promised body was sent; empty: nothing yet."""
    with socket.create_connection(server.socket.getsockname()) as client:
        client.settimeout(0.5)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nContent-Length: {size}\r\n\r\n"
        client.sendall(head.encode() + body)
        try:
            return client.recv(100).partition(b"\r\n")[0].decode()
        except TimeoutError:
            return ""


def owner(server: BaseWSGIServer) -> str:
    """The cookie of a browser that opened the owner's link, or any page of an open server."""
    answer = server.application.test_client().get(f"/?token={TOKEN}")
    return answer.headers["Set-Cookie"].partition(";")[0]


@pytest.mark.parametrize("path", ["/api/label", "/login", "/nowhere", "/api/rescan"])
def test_what_is_no_upload_may_not_be_large(server, path):
    assert "413" in said(server, path, LARGE, owner(server))
    assert said(server, path, 1000, owner(server)) == ""  # it waits for the rest


@pytest.mark.parametrize("path", ["/api/upload", "/files/upload"])
def test_only_whoever_has_come_in_may_send_an_upload(server, path):
    is_open = owner(server) and server.application.test_client().get("/files").status_code == 200
    mine, name = owner(server), server.application.config["SESSION_COOKIE_NAME"]
    stranger = server.application.test_client().get("/login").headers.get("Set-Cookie", "").partition(";")[0]
    assert said(server, path, LARGE, mine) == ""
    assert "413" in said(server, path, 2 * LARGE, mine)
    for cookie in ("", stranger, f"{name}=forged", mine[:-3], '"'):
        assert said(server, path, LARGE, cookie) == ("" if is_open else "HTTP/1.1 413 Request Entity Too Large")
