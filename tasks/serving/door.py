"""The door before every server that we start: pages of other origins get nothing, nor does who cannot show the key.

A browser lets any page send requests to 127.0.0.1, and a name server elsewhere can make its own name point here (DNS
rebinding). So the name that was asked for is checked first, then where the request comes from, then the key.
"""

import hashlib
import secrets

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tasks.disk.key import HOSTS, authorization

PARAMETER = "fenqun_key"
"""Of a printed address: it is exchanged for a cookie, so that one click lets a person in."""


def behind_door(app: ASGIApp, key: str | None) -> ASGIApp:
    """An application that only its own pages and, where there is a key, those who show it can ask.

    Websockets pass without the key: the browser names the origin of each, and who is behind the door asks for the key
    in the first message (Prefect) or has none (MLflow).

    Args:
        app: What stands behind the door.
        key: What is to be shown, as HTTP Basic or by the cookie; None where whoever is on this machine may ask.
    """
    return TrustedHostMiddleware(_Door(app, key) if key else _Origins(app), HOSTS, www_redirect=False)


class _Origins:
    """Refuses what pages of another origin send; another port is another origin, though cookies do not know ports."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and _foreign(HTTPConnection(scope), scope.get("method")):
            await PlainTextResponse("Pages of another origin get nothing here.", 403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _foreign(asked: HTTPConnection, method: str | None) -> bool:
    """Whether a page of another origin asks; opening an address, which shows that page nothing, is no asking."""
    own = f"http://{asked.headers['host']}"
    if any(origin != own for origin in asked.headers.getlist("origin")):
        return True
    opened = (method, asked.headers.get("sec-fetch-mode"), asked.headers.get("sec-fetch-dest"))
    return asked.headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and opened != (
        "GET",
        "navigate",
        "document",
    )


class _Door(_Origins):
    """Asks for the key as well."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.inside, self.key = app, key
        # A name of its own for each key: all servers on one host share their cookies.
        self.cookie = f"fenqun-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        super().__init__(self._ask)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            asked = HTTPConnection(scope)
            if scope["method"] == "GET" and _same(asked.query_params.get(PARAMETER), self.key):
                await self._let_in(asked)(scope, receive, send)
                return
            if not self._shown(asked):
                told = "This server asks for its key: open the address that `fenqun ui` printed."
                await PlainTextResponse(told, 401)(scope, receive, send)
                return
            # What is behind may ask for the key too, and knows nothing of our cookie.
            others = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
            scope = {**scope, "headers": [*others, (b"authorization", authorization(self.key).encode())]}
        await self.inside(scope, receive, send)

    def _shown(self, asked: HTTPConnection) -> bool:
        header = _same(asked.headers.get("authorization"), authorization(self.key))
        return header or _same(asked.cookies.get(self.cookie), self.key)

    def _let_in(self, asked: HTTPConnection) -> Response:
        """Exchanges the key in an address for a cookie that no script reads and no other site's page sends."""
        answer = RedirectResponse(str(asked.url.remove_query_params(PARAMETER)), 303)
        answer.set_cookie(self.cookie, self.key, httponly=True, samesite="strict")
        return answer


def _same(shown: str | None, wanted: str) -> bool:
    return shown is not None and secrets.compare_digest(shown.encode(), wanted.encode())
