"""Signing in with the admin token, and signing out."""

import time
from collections import OrderedDict, deque
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from receiver.admin.parts import Parts
from receiver.console.guard import COOKIE, HOME, LASTS_S, LOGIN, Sessions
from receiver.console.pages import Group, Pages, get, log, post

MOST: Final = 5
"""Wrong tokens from one address within `WITHIN_S`."""
WITHIN_S: Final = 60.0
_MOST_ADDRESSES: Final = 1024


class Attempts:
    """The wrong tokens of the last minute, by address. The oldest are forgotten first."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Return the seconds until *address* may try again; 0 if it may now."""
        times = self._wrong.get(address, deque())
        if len(times) < MOST:
            return 0.0
        return max(0.0, times[0] + WITHIN_S - time.monotonic())

    def note(self, address: str) -> None:
        """Count a wrong token."""
        self._wrong.setdefault(address, deque(maxlen=MOST)).append(time.monotonic())
        self._wrong.move_to_end(address)
        if len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)

    def forget(self, address: str) -> None:
        """Forget the wrong tokens of an address that sent the right one."""
        self._wrong.pop(address, None)


class Login(Group):
    """The page that everybody may see."""

    def __init__(self, parts: Parts, pages: Pages, sessions: Sessions) -> None:
        super().__init__(parts, pages)
        self._sessions = sessions
        self._attempts = Attempts()

    @get("/login")
    async def form(self, request: Request) -> Response:
        """Ask for the token."""
        return self._show(request)

    @post("/login")
    async def enter(self, request: Request) -> Response:
        """Start a session for a holder of the token."""
        address = request.client.host if request.client else ""
        if wait_s := self._attempts.wait_s(address):
            answer = self._show(request, "Too many wrong tokens. Wait a minute.", status=429)
            answer.headers["Retry-After"] = str(int(wait_s) + 1)
            return answer
        given = request.state.form
        if not self._sessions.is_token(given.get("token", "")):
            self._attempts.note(address)
            log.warning("console login refused", client=address)
            return self._show(request, "This is not the admin token.", status=401)
        self._attempts.forget(address)
        cookie = self._sessions.begin(given.get("who", ""))
        begun = self._sessions.read(cookie)
        await self._note(request, "login", who=begun.who if begun else None)
        answer = RedirectResponse(_own_path(given.get("next", "")), 303)
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=LASTS_S,
            path=HOME,
            httponly=True,
            samesite="strict",
            secure="https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "")),
        )
        return answer

    @post("/logout")
    async def leave(self, request: Request) -> Response:
        """End this browser's session."""
        await self._note(request, "logout")
        answer = RedirectResponse(LOGIN, 303)
        answer.delete_cookie(COOKIE, path=HOME)
        return answer

    def _show(self, request: Request, problem: str | None = None, *, status: int = 200) -> Response:
        wanted = request.state.form.get("next") or request.query_params.get("next", "")
        return self._pages.page(request, "login.html", status, problem=problem, next=_own_path(wanted))


def _own_path(wanted: str) -> str:
    """Return *wanted* if it is a page of ours: a link must not redirect elsewhere."""
    is_ours = wanted == HOME or wanted.startswith((f"{HOME}/", f"{HOME}?"))
    return wanted if is_ours and "\\" not in wanted and wanted.isprintable() else HOME
