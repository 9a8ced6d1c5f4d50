"""Access to the private API: for holders of the token, not for web pages."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from receiver.admin import answers

OPEN_PATHS: Final = frozenset(("/healthz",))
"""Paths that need no token."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Passes requests with the token to *app*, and marks every answer as not cacheable."""

    app: ASGIApp
    token_of: Callable[[str], str] = field(repr=False)
    """Returns the token that a path requires."""
    hint_for: Callable[[str], str] = lambda _: ""
    """Returns what the refusal of a path says besides."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let *app* answer."""

        async def send_uncached(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"] = "no-store"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send_uncached)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if "origin" in headers:
            # Only browsers send it. Without CORS they would hide the answer, but the action would happen.
            return answers.error(403, "origin_refused", "This API is not for web pages.")
        path: str = scope["path"]
        if path in OPEN_PATHS or _bears(headers.getlist("authorization"), self.token_of(path)):
            return None
        message = f"Unauthorized.{self.hint_for(path)}"
        return answers.error(401, "unauthorized", message, {"WWW-Authenticate": "Bearer"})


def _bears(authorization: list[str], token: str) -> bool:
    scheme, _, given = authorization[0].partition(" ") if len(authorization) == 1 else ("", "", "")
    return hmac.compare_digest(given.strip().encode(), token.encode()) and scheme.lower() == "bearer"
