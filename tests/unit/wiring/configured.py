"""Settings as if the environment had said so."""

from typing import Any

from receiver.settings import Settings

SECRET = "whsec_0123456789abcdef"


def settings(**fields: Any) -> Settings:
    return Settings(**fields)
