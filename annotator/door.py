"""The door of the web server: a large body is refused by its headers, before a byte of it is taken in.

Only an upload may be large, and only from a browser that has come in; what it may do is for `access` to say.
"""

from copy import copy
from http.cookies import CookieError, SimpleCookie
from typing import Any

from flask import Flask
from itsdangerous import BadData
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser

from annotator import security

_KNOWN = ("token", "_user_id")  # a session that has either is not a stranger's


def guarded(app: Flask, *, is_open: bool) -> type[HTTPChannel]:
    """The channel class that limits each body. is_open: whoever reaches the server is its owner."""
    uploads = {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint in security.UPLOADS}

    def limit(path: str, cookies: str) -> int:
        """Bytes; a body must be smaller. What is a little too large still gets the explanation of the pages."""
        is_large = path in uploads and (is_open or _has_come_in(app, cookies))
        return security.MAX_UPLOAD_BYTES if is_large else 2 * security.MAX_BODY_BYTES

    class Parser(HTTPRequestParser):  # type: ignore[misc]
        adj: Any

        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            if self.body_rcv is not None:
                self.adj = copy(self.adj)
                self.adj.max_request_body_size = limit(self.path, self.headers.get("COOKIE", ""))

    class Channel(HTTPChannel):  # type: ignore[misc]
        parser_class = Parser

    return Channel


def _has_come_in(app: Flask, cookies: str) -> bool:
    """Is there a session that this server has signed, of somebody?"""
    sessions: Any = app.session_interface
    try:
        said = SimpleCookie(cookies).get(app.config["SESSION_COOKIE_NAME"])
        found = sessions.get_signing_serializer(app).loads(said.value) if said else {}
    except (CookieError, BadData):
        return False
    return any(key in found for key in _KNOWN)
