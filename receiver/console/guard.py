"""The gate before every page: a session, its CSRF token on every write, and headers for browsers."""

import hmac
import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from itsdangerous import BadSignature, Signer, URLSafeSerializer, URLSafeTimedSerializer
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "receiver_console"
LASTS_S: Final = 12 * 3600
MOST_NAME_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that sent the right token."""

    who: str
    """The name that its user gave, for the audit log."""
    csrf: str
    """The token that each of its forms must include."""


class Sessions:
    """Signs and reads sessions. Nothing is stored: any process with the same token can read them."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._cookies = URLSafeTimedSerializer(token, salt="receiver.console.session")
        self._notices = URLSafeSerializer(token, salt="receiver.console.notice")
        self._signer = Signer(token, salt="receiver.console.csrf")

    def is_token(self, given: str) -> bool:
        """Return whether *given* is the admin token."""
        return hmac.compare_digest(given.strip().encode(), self._token.encode())

    def begin(self, who: str) -> str:
        """Return the cookie for a new session."""
        name = " ".join(who.split())[:MOST_NAME_CHARS] or "operator"
        return str(self._cookies.dumps([name, secrets.token_hex(16)]))

    def read(self, cookie: str | None) -> Session | None:
        """Return the session in *cookie*; None if it is not ours or too old."""
        try:
            who, nonce = self._cookies.loads(cookie or "", max_age=LASTS_S)
        except (BadSignature, ValueError, TypeError):
            return None
        return Session(who, self._signer.get_signature(nonce).decode())

    def is_csrf(self, session: Session, given: str) -> bool:
        """Return whether *given* is the CSRF token of *session*."""
        return hmac.compare_digest(given.encode(), session.csrf.encode())

    def write_notice(self, text: str) -> str:
        """Sign a sentence for the next page, so that no link can put words in our mouth."""
        return str(self._notices.dumps(text))

    def read_notice(self, signed: str | None) -> str | None:
        """Return a sentence that we signed."""
        try:
            return str(self._notices.loads(signed)) if signed else None
        except BadSignature:
            return None


HOME: Final = "/console"
LOGIN: Final = f"{HOME}/login"
STATIC: Final = f"{HOME}/static/"
MAX_FORM_BYTES: Final = 64 * 1024
_MOST_FIELDS: Final = 100

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # With `no-referrer` a browser would send our own forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets signed-in browsers through to *app*. A write's form, once checked, is `request.state.form`."""

    app: ASGIApp
    sessions: Sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond, or let *app* respond."""

        async def send_bound(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = await self._checked(scope, receive) if scope["type"] == "http" else None
        await (answer or self.app)(scope, receive, send_bound)

    async def _checked(self, scope: Scope, receive: Receive) -> Response | None:
        request = Request(scope, receive)
        session = self.sessions.read(request.cookies.get(COOKIE))
        scope.setdefault("state", {}).update(session=session, form={})
        if request.method not in ("GET", "HEAD"):
            return await self._write(request, scope, session)
        if session or scope["path"] == LOGIN or scope["path"].startswith(STATIC):
            return None
        return _sent_to_login(request)

    async def _write(self, request: Request, scope: Scope, session: Session | None) -> Response | None:
        if not _is_own_page(request.headers):
            return PlainTextResponse("This request comes from another site.", 403)
        form = await _form(request)
        if form is None:
            return PlainTextResponse(f"A form has at most {MAX_FORM_BYTES} bytes.", 413)
        scope["state"]["form"] = form
        if scope["path"] == LOGIN:
            return None
        if session is None:
            return _sent_to_login(request)
        if not self.sessions.is_csrf(session, form.get("csrf", "")):
            return PlainTextResponse("This form belongs to another session. Reload the page.", 403)
        return None


async def _form(request: Request) -> dict[str, str] | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return None
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    # Neither database can store a NUL.
    return {name: value.replace("\0", "") for name, value in pairs}


def _is_own_page(headers: Headers) -> bool:
    """Return whether the browser says that one of our own pages sent this."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _sent_to_login(request: Request) -> Response:
    if request.headers.get("hx-request") == "true":
        # Only part of a page was requested, so reload the whole page.
        return Response(status_code=204, headers={"HX-Redirect": LOGIN})
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    to = f"{LOGIN}?next={quote(wanted)}" if request.method == "GET" and wanted != HOME else LOGIN
    return RedirectResponse(to, 303)
