"""Who may send: the sources and their secrets."""

from collections.abc import Sequence
from typing import Final

from pydantic import SecretStr

from receiver.errors import ConfigError, variable
from receiver.receive import Source
from receiver.settings import Settings
from receiver.signatures import check_secrets

DEFAULT_SOURCE: Final = "photoverse"


def source_names(settings: Settings) -> list[str]:
    """Return the names of all sources, whatever else is wrong with them."""
    return sorted({DEFAULT_SOURCE, *settings.sources})


def build_sources(settings: Settings) -> dict[str, Source]:
    """Return the configured sources by name.

    Raises:
        ConfigError: there is none, or a secret is too short.
    """
    sources = {
        name: Source(
            name,
            _secrets(account.secrets, variable("sources", name, "secrets")),
            account.signature_header,
            settings.signature_mode,
        )
        for name, account in settings.sources.items()
    }
    if settings.webhook_secrets:
        if DEFAULT_SOURCE in sources:
            other = variable("sources", DEFAULT_SOURCE, "secrets")
            raise ConfigError(
                f"{variable('webhook_secrets')} and {other} both name the source {DEFAULT_SOURCE}: set one"
            )
        secrets = _secrets(settings.webhook_secrets, variable("webhook_secrets"))
        sources[DEFAULT_SOURCE] = Source(DEFAULT_SOURCE, secrets, mode=settings.signature_mode)
    if not sources:
        raise ConfigError(
            f"{variable('webhook_secrets')} is not set: without the signing secret, webhooks cannot be"
            " verified. Copy it from the provider's webhook page."
        )
    return sources


def _secrets(secrets: Sequence[SecretStr], setting: str) -> tuple[bytes, ...]:
    encoded = tuple(secret.get_secret_value().encode() for secret in secrets)
    try:
        check_secrets(encoded)
    except ValueError as error:
        raise ConfigError(f"{setting}: {error}") from error
    for place, secret in enumerate(encoded, start=1):
        if b"\n" in secret:
            raise ConfigError(
                f"{setting}: signing secret {place} has several lines: separate secrets with commas"
            )
    return encoded
