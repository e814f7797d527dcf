"""Errors that become one line: on the command line with exit code 1, on a page, or {"ok": false, "error": ...}."""


class AnnotatorError(Exception):
    """Names the thing, the value and the way out. `status` is what an HTTP answer carries."""

    status = 400


class NotFound(AnnotatorError):
    """Something named by id that does not exist."""

    status = 404


class NotYours(AnnotatorError):
    """Somebody's role does not reach."""

    status = 403


class OtherProject(AnnotatorError):
    """The page belongs to a project that was served at this address before."""

    status = 410


class OtherPerson(AnnotatorError):
    """The page belongs to somebody who was logged in before in this browser."""

    status = 410


class Contradiction(AnnotatorError):
    """The same answer came twice with different contents; the first one stays."""

    status = 409
