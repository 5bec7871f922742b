"""Bounds of a request's body, before anything parses it: how long it may be, and how deeply nested its JSON."""

import re

import numpy as np
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.limits import MAX_BODY_BYTES, MAX_DEPTH

_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_OTHERS = bytes(sorted(set(range(256)) - set(b"[{]}")))


def nesting(body: bytes) -> int:
    """How deeply lists and objects of a JSON document are nested; what stands in its texts does not count."""
    found = np.frombuffer(_TEXTS.sub(b"", body).translate(None, _OTHERS), np.uint8)
    opens = (found == ord("[")) | (found == ord("{"))
    return int(np.cumsum(np.where(opens, 1, -1)).max(initial=0))


def bounded(app: ASGIApp) -> ASGIApp:
    """An application that gets no body beyond the bounds; who sends one is told so in one line.

    Args:
        app: What parses the bodies of its POST requests.
    """

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        body, asked = bytearray(), HTTPConnection(scope)
        length = asked.headers.get("content-length", "")
        more = not length.isdigit() or int(length) <= MAX_BODY_BYTES
        fits = more
        while more:
            part = await receive()
            body += part.get("body", b"")
            fits = len(body) <= MAX_BODY_BYTES
            more = fits and part.get("more_body", False)
        if refused := _refused(bytes(body), fits, asked.headers.get("content-type")):
            await refused(scope, receive, send)
        else:
            await app(scope, _again(bytes(body), receive), send)

    return inside


def _refused(body: bytes, fits: bool, kind: str | None) -> JSONResponse | None:
    """The answer to a body that is out of bounds."""
    if not fits:
        return _told(413, f"request: the body is longer than {MAX_BODY_BYTES:,} bytes; send fewer users at once")
    if kind is None:
        return _told(415, "request: say what the body is, such as Content-Type: application/json")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and nesting(body) > MAX_DEPTH:
        return _told(400, f"request: lists and objects are nested more than {MAX_DEPTH} deep")
    return None


def _told(status: int, message: str) -> JSONResponse:
    """An error in MLflow's form."""
    return JSONResponse({"error_code": "BAD_REQUEST", "message": message}, status)


def _again(body: bytes, receive: Receive) -> Receive:
    """What was received, to be received once more; then whatever comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_one() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_one
