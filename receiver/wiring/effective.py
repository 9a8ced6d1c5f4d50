"""The settings in effect, without secrets."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import SecretStr

from receiver.errors import variable
from receiver.operations import schemas
from receiver.settings import Settings, kept_in_a_file, origin
from receiver.telemetry.redact import REDACTED, fingerprint, redact

_WEB_ADDRESS: Final = re.compile(r"(https?://)(?:[^/?#]*@)?([^/?#@]+)", re.IGNORECASE)


def effective(settings: Settings) -> Iterator[schemas.Setting]:
    """Yield every setting in effect; for a secret, only its fingerprint."""
    for path, value in _values(settings):
        name = variable(*path)
        is_secret = kept_in_a_file(f"{name}_FILE") is not None
        shown = _secrets(name, value) if is_secret else _shown(value)
        yield {
            "name": name,
            "value": shown or "not set",
            "origin": origin(settings, *path),
            "is_secret": is_secret,
        }


def _values(settings: Settings) -> Iterator[tuple[tuple[str, ...], Any]]:
    for field in type(settings).model_fields:
        value = getattr(settings, field)
        if not isinstance(value, Mapping):
            yield (field,), value
            continue
        for name, one in value.items():
            options = one if isinstance(one, Mapping) else dict(one)
            for option, each in options.items():
                yield (field, name, option), each


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    return "" if value is None else redact(str(value))


def _secrets(name: str, value: Any) -> str:
    values = value if isinstance(value, tuple) else (value,)
    texts = (one.get_secret_value() if isinstance(one, SecretStr) else one for one in values)
    return ", ".join(_secret(name, text) for text in texts if text)


def _secret(name: str, text: str) -> str:
    mark = f"sha256:{fingerprint(text)}"
    if not name.endswith("URL"):
        return mark
    shown = _address(text)
    return shown if shown == text else f"{shown} ({mark})"


def _address(url: str) -> str:
    """Return a URL without password or query; of a webhook only the host: its path may be secret."""
    if found := _WEB_ADDRESS.match(url):
        return "".join(found.groups()) + "/…"
    shown = redact(url)
    # A password that is not percent-encoded cannot be recognised.
    return f"{url.partition(':')[0]}:…" if "@" in shown.replace(f"{REDACTED}@", "") else shown
