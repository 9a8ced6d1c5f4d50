"""Who is signed in: a signed cookie, and a CSRF token in every form.

The key is the admin token, so changing the token ends all sessions.
"""

import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from itsdangerous import BadSignature, Signer, URLSafeSerializer, URLSafeTimedSerializer

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
