"""Errors that become one line: on the command line with exit code 1, on a page, or {"ok": false, "error": ...}."""


class AnnotatorError(Exception):
    """Names the thing, the value and the way out. `status` is what an HTTP answer carries."""

    status = 400


class NotFound(AnnotatorError):
    """Something named by id that does not exist."""

    status = 404


class Contradiction(AnnotatorError):
    """The same answer came twice with different contents; the first one stays."""

    status = 409
