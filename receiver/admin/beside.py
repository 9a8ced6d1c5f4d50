"""Two applications on the private listener: pages below `/console`, and the API."""

from typing import Final

from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOME: Final = "/console"
MISSING: Final = (
    "The console is not installed here; the JSON API below /v1/ is.\n"
    "Install it: pip install 'avs-receiver[console]', then start this process again.\n"
)


def beside(console: ASGIApp | None, api: ASGIApp) -> ASGIApp:
    """Return both as one; without the *console* its pages say what to install."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path == "/":
            await RedirectResponse(HOME, 307)(scope, receive, send)
        elif path == HOME or path.startswith(f"{HOME}/"):
            await (console or PlainTextResponse(MISSING, 404))(scope, receive, send)
        else:
            await api(scope, receive, send)

    return app
