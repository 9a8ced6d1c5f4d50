"""A client's configuration, checked once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from receiver.client.pacer import PRIORITIES, Priority
from receiver.client.parameters import INHERIT, Inherit, is_loopback
from receiver.client.wire import Timeout
from receiver.contract import BASE_URL
from receiver.errors import ConfigError

NOT_CARRIED: Final = (
    "a client cannot be pickled or copied, as it holds a key and connections: make one in each process, "
    "or use the same one in processes that are forked, and with_options for another"
)


@dataclass(frozen=True, slots=True)
class Config:
    """The provider's address, and our credentials."""

    base_url: str
    credential: tuple[str, str] = field(repr=False)
    """The authenticating header, and its value."""
    webhook_url: str | None = field(repr=False)
    timeout: Timeout
    max_retries: int
    priority: Priority = "interactive"
    proxy: str | None = field(default=None, repr=False)
    origin: str | None = None
    """The origin that a browser would send."""

    def headers(self) -> Mapping[str, str]:
        """Return the headers of every API request. Only the transport ever sees these."""
        name, value = self.credential
        origin = {"Origin": self.origin} if self.origin else {}
        return {name: value, "Accept": "application/json", **origin}

    def changed(
        self,
        *,
        webhook_url: str | Inherit | None = INHERIT,
        timeout: Timeout | float | None = None,
        max_retries: int | None = None,
        priority: Priority | None = None,
    ) -> "Config":
        """Return a copy with the given values.

        Raises:
            ConfigError: names the setting and what to put there.
        """
        return replace(
            self,
            webhook_url=self.webhook_url if isinstance(webhook_url, Inherit) else webhook_url,
            timeout=self.timeout if timeout is None else _timeout(timeout),
            max_retries=self.max_retries if max_retries is None else _max_retries(max_retries),
            priority=self.priority if priority is None else _priority(priority),
        )


def configure(
    api_key: str | None,
    *,
    base_url: str | None,
    webhook_url: str | None,
    timeout: Timeout | float | None,
    max_retries: int,
    priority: Priority = "interactive",
    proxy: str | None = None,
) -> Config:
    """Fill in missing values from the environment, and refuse invalid ones.

    Raises:
        ConfigError: names the setting and what to put there.
    """
    key = api_key if api_key is not None else os.environ.get("RECEIVER_API_KEY", "")
    if not key:
        raise ConfigError("no API key: pass api_key= or set RECEIVER_API_KEY")
    if len(key) > 1 and key[0] == key[-1] and key[0] in "\"'":
        raise ConfigError("the API key (api_key= or RECEIVER_API_KEY) is in quotes: write it without them")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError("the API key (api_key= or RECEIVER_API_KEY) holds blanks or unprintable characters")
    return Config(
        base_url=_base_url(base_url or os.environ.get("RECEIVER_API_BASE_URL") or BASE_URL),
        credential=("Authorization", f"Bearer {key}"),
        webhook_url=webhook_url,
        timeout=_timeout(timeout),
        max_retries=_max_retries(max_retries),
        priority=_priority(priority),
        proxy=_proxy(proxy),
    )


def configure_session(
    cookie: str,
    *,
    base_url: str | None,
    timeout: Timeout | float | None,
    max_retries: int,
    proxy: str | None = None,
) -> Config:
    """Like `configure`, for calls that take a session's cookie instead of an API key.

    Raises:
        ConfigError: names the setting and what to put there.
    """
    api = _base_url(base_url or os.environ.get("RECEIVER_API_BASE_URL") or BASE_URL)
    name, equals, _ = cookie.partition("=")
    if not name.strip() or not equals or not cookie.isascii() or not cookie.isprintable():
        raise ConfigError("cookie must look like name=value, as a signed-in browser sends it")
    return Config(
        base_url=api,
        credential=("Cookie", cookie),
        webhook_url=None,
        timeout=_timeout(timeout),
        max_retries=_max_retries(max_retries),
        proxy=_proxy(proxy),
        # A server that accepts cookies may check that no other site's page sent them.
        origin=urlsplit(api)._replace(path="").geturl(),
    )


def _max_retries(max_retries: int) -> int:
    if max_retries < 0:
        raise ConfigError(f"max_retries must be 0 or more, not {max_retries}")
    return max_retries


def _priority(priority: Priority) -> Priority:
    if priority not in PRIORITIES:
        raise ConfigError(f"priority must be one of {', '.join(PRIORITIES)}; not {priority!r}")
    return priority


def _proxy(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("proxy must look like http://host:port")
    return url


def _base_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        parts, host = urlsplit(""), None
    if not host or parts.query or parts.fragment or parts.username is not None:
        raise ConfigError("base_url (or RECEIVER_API_BASE_URL) must look like https://host/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigError(
            "base_url (or RECEIVER_API_BASE_URL) must be https: the API key would travel in the clear. "
            "http is accepted on loopback only"
        )
    return url.rstrip("/")


def _timeout(timeout: Timeout | float | None) -> Timeout:
    if timeout is None:
        return Timeout()
    if isinstance(timeout, Timeout):
        return timeout
    return Timeout(connect_s=min(timeout, Timeout().connect_s), read_s=timeout, total_s=timeout)
