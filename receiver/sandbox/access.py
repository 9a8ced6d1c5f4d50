"""Access control: key, then address, then scope, then rate limit; or a session, for managing keys."""

import ipaddress
from dataclasses import dataclass

from starlette.requests import Request

from receiver.contract import RATE_LIMIT_HEADERS
from receiver.sandbox.dialect import Dialect
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.state import ApiKey, State


def authenticate(request: Request, state: State, now: float) -> ApiKey:
    """Return the key in *request*, or refuse it."""
    token = bearer(request)
    if not token:
        raise Refusal("missing_api_key", "No API key provided")
    key = state.keys.get(token)
    if key is None:
        raise Refusal("invalid_api_key", "API key is invalid or revoked")
    if key.expires_at is not None and key.expires_at <= now:
        raise Refusal("expired_api_key", "API key has expired")
    return key


def authorize(request: Request, key: ApiKey, scope: str, *, networks: bool = True) -> None:
    """Refuse *request* unless *key* may be used from its address and for *scope*.

    Without *networks*, an allow-list may contain only addresses.
    """
    address = request.client.host if request.client else ""
    allowed = key.ip_allowlist
    if allowed and not any(_contains(entry, address, networks=networks) for entry in allowed):
        raise Refusal("ip_not_allowed", "Request from unauthorized IP address")
    if scope not in key.scopes:
        raise Refusal("insufficient_scope", f"This API key lacks the scope {scope}", required=scope)


def session_account(request: Request, state: State, dialect: Dialect) -> str:
    """Return the account of the session in *request*, or refuse it: an API key is not accepted here."""
    account = state.sessions.get(request.cookies.get(dialect.session_cookie_name, ""))
    if account is not None:
        if dialect.session_origin == "required":
            own = str(request.base_url).rstrip("/")
            if request.method != "GET" and request.headers.get("origin") != own:
                raise Refusal("forbidden", "This request does not come from the web interface", status=403)
        return account
    code = "missing_api_key" if dialect.bearer_on_keys == 401 else "insufficient_scope"  # noqa: PLR2004  # HTTP's
    raise Refusal(code, "Log in via the web interface: an API key cannot manage API keys")


def caller(request: Request, state: State, dialect: Dialect) -> str:
    """Return the name that *request* is counted under; empty for unknown callers."""
    token = bearer(request)
    session = request.cookies.get(dialect.session_cookie_name, "")
    return token if token in state.keys else session if session in state.sessions else ""


def bearer(request: Request) -> str:
    """Return the bearer token of *request*; empty if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _contains(entry: str, address: str, *, networks: bool) -> bool:
    try:
        allowed = ipaddress.ip_network(entry, strict=False)
        return (networks or allowed.num_addresses == 1) and ipaddress.ip_address(address) in allowed
    except ValueError:
        return False


@dataclass(slots=True)
class _Window:
    ends_at: int
    used: int = 0


class RateLimits:
    """Counts requests."""

    def __init__(self, limit: int, window_s: int, dialect: Dialect | None = None) -> None:
        self.limit = limit
        self.window_s = window_s
        self._dialect = dialect or Dialect()
        self._windows: dict[str, _Window] = {}

    def take(self, key: str, now: float) -> None:
        """Count one request of *key*, or refuse it."""
        window = self._window(key, now)
        refused = window.used >= self.limit
        if not refused or self._dialect.refused_requests_count:
            window.used += 1
        if refused:
            raise Refusal("rate_limited", "Too many requests, please slow down")

    def headers(self, key: str, now: float) -> dict[str, str]:
        """Return the headers for *key*; an empty name stands for no key."""
        shown = self._dialect.rate_headers
        if shown == "never" or (shown == "with_key" and not key):
            return {}
        window = self._window(key, now)
        scale = 1000 if self._dialect.reset_unit == "milliseconds" else 1
        values = (self.limit, max(0, self.limit - window.used), window.ends_at * scale)
        return dict(zip(RATE_LIMIT_HEADERS, map(str, values), strict=True))

    def ends_at(self, key: str, now: float) -> int:
        """Return when the window of *key* ends, in seconds since the epoch."""
        return self._window(key, now).ends_at

    def _window(self, key: str, now: float) -> _Window:
        window = self._windows.get(key)
        if window is None or now >= window.ends_at:
            window = self._windows[key] = _Window(self._end(now))
        return window

    def _end(self, now: float) -> int:
        if self._dialect.rate_window == "whole_minutes":
            window_s = max(1, self.window_s)
            return (int(now) // window_s + 1) * window_s
        return int(now) + self.window_s
