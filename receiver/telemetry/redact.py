"""Keeping secrets out of log lines, wherever they come from."""

import hashlib
import re
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any, Final

REDACTED: Final = "[redacted]"
_FINGERPRINT_CHARS: Final = 8

_SECRET_NAMES: Final = re.compile(
    r"secret|token|password|signature|authorization|api_?key|cookie", re.IGNORECASE
)
_QUERY: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#'\"]*)[?#][^\s'\"]*", re.IGNORECASE)
_USERINFO: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@'\"]+@", re.IGNORECASE)
_KEYS: Final = re.compile(r"\b(avs_(?:live|test)_|whsec_)[A-Za-z0-9_-]+")
_SIGNED: Final = re.compile(r"\bv1=[0-9A-Fa-f]{8,}")


def redact(text: str) -> str:
    """Return *text* without query strings, passwords in URLs, API keys, signing secrets and signatures."""
    # Almost no text holds any of these, and looking for them is much cheaper than four expressions.
    if "://" in text:
        text = _QUERY.sub(rf"\1?{REDACTED}", _USERINFO.sub(rf"\1{REDACTED}@", text))
    if "avs_" in text or "whsec_" in text:
        text = _KEYS.sub(rf"\1{REDACTED}", text)
    if "v1=" in text:
        text = _SIGNED.sub(f"v1={REDACTED}", text)
    return text


def fingerprint(secret: str) -> str:
    """Return what tells two secrets apart and gives neither away: the first digits of the SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()[:_FINGERPRINT_CHARS]


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact every text value of a log line; drop values whose name says that they are secret."""
    for name, value in event.items():
        event[name] = _redacted(name, value)
    return event


def _redacted(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return REDACTED if _is_secret(name) else redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {key: _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_redacted(name, item) for item in value]
    return REDACTED if _is_secret(name) else redact(str(value))


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None
