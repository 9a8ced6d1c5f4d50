"""The settings in effect, without what is secret."""

from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from receiver.admin.parts import Setting
from receiver.errors import variable
from receiver.settings import Settings
from receiver.telemetry.redact import fingerprint, redact
from receiver.wiring.destinations import common_options


def effective(settings: Settings) -> Iterator[Setting]:
    """Yield every setting as it is in effect; of a secret its fingerprint alone."""
    for name, field in Settings.model_fields.items():
        if name not in ("sources", "destinations"):
            value = getattr(settings, name)
            yield _setting(variable(name), value, is_default=value == field.default)
    for source, account in settings.sources.items():
        for name in type(account).model_fields:
            value = getattr(account, name)
            yield _setting(variable("sources", source, name), value, is_default=value is None)
    for destination, options in settings.destinations.items():
        for name, text in options.items():
            yield _option(destination, name, text)


def _option(destination: str, name: str, text: str) -> Setting:
    full = variable("destinations", destination, name)
    if name.lower() in common_options():
        return Setting(full, text, is_secret=False, is_default=False)
    if name.lower() == "url":
        scheme = text.partition(":")[0]
        return Setting(full, f"{scheme}:… ({_mark(text)})", is_secret=True, is_default=False)
    return Setting(full, _mark(text), is_secret=True, is_default=False)


def _setting(name: str, value: Any, *, is_default: bool) -> Setting:
    if isinstance(value, SecretStr):
        return Setting(name, _mark(value.get_secret_value()), is_secret=True, is_default=is_default)
    if isinstance(value, tuple) and any(isinstance(one, SecretStr) for one in value):
        marks = ", ".join(_mark(one.get_secret_value()) for one in value)
        return Setting(name, marks, is_secret=True, is_default=is_default)
    if isinstance(value, tuple):
        value = ", ".join(map(str, value)) or None
    return Setting(
        name, "not set" if value is None else redact(str(value)), is_secret=False, is_default=is_default
    )


def _mark(secret: str) -> str:
    return f"sha256:{fingerprint(secret)}" if secret else "not set"
