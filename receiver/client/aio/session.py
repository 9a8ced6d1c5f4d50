"""`AsyncSessionClient`: the calls that need a signed-in session instead of an API key."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from receiver.client import requests
from receiver.client.aio.caller import Caller
from receiver.client.aio.client import Connected, http_transport
from receiver.client.config import configure_session
from receiver.client.parameters import OMIT, Omit
from receiver.client.results import ApiKey, ApiKeyList
from receiver.client.wire import AsyncTransport, Timeout
from receiver.contract import Scope


class Keys:
    """Manages API keys."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(
        self,
        name: str,
        *,
        scopes: Iterable[Scope] | Omit = OMIT,
        ip_allowlist: Iterable[str] | Omit = OMIT,
        expires_at: datetime | str | Omit = OMIT,
    ) -> ApiKey:
        """Create an API key. Store `.key` at once: it may not be shown again.

        Args:
            name: what it is for.
            scopes: of read, generate:image, generate:video and webhooks; by default read alone.
            ip_allowlist: addresses, or networks if the provider accepts them; by default any.
            expires_at: a time with its offset from UTC; by default never.

        Raises:
            InvalidParameter: a value the API document does not allow; nothing was sent.
            OutcomeUnknown: it may have been created; check `list` before you retry.
        """
        request = requests.create_api_key(
            name, scopes=scopes, ip_allowlist=ip_allowlist, expires_at=expires_at
        )
        return await self._caller.call(request)

    async def list(self) -> ApiKeyList:
        """Return every API key, without the secret part."""
        return await self._caller.call(requests.list_api_keys())

    async def revoke(self, key_id: str) -> None:
        """Revoke an API key, permanently.

        Raises:
            NotFound: no such key, or another account's.
        """
        await self._caller.call(requests.revoke_api_key(key_id))


class AsyncSessionClient(Connected):
    """The provider's calls that need a session.

    Args:
        cookie: the `Cookie` header of a signed-in browser: `name=value`.
        base_url: by default `RECEIVER_API_BASE_URL`, else the address in the API document.
        timeout: in seconds, or a `Timeout`.
        max_retries: repetitions after the first attempt, of what may be repeated.
        proxy: `http://host:port`; none is taken from the environment.
        clock: the time, in seconds since the epoch; for tests, like the rest.
        sleep: waits for as many seconds.
        chance: random numbers in [0, 1).
        transport: carries the exchanges.

    Raises:
        ConfigError: a setting is missing or cannot work; the message names it.
    """

    def __init__(  # noqa: PLR0913  # all but the cookie have defaults
        self,
        cookie: str,
        *,
        base_url: str | None = None,
        timeout: Timeout | float | None = None,
        max_retries: int = 4,
        proxy: str | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        transport: AsyncTransport | None = None,
    ) -> None:
        config = configure_session(
            cookie, base_url=base_url, timeout=timeout, max_retries=max_retries, proxy=proxy
        )
        carrier = transport or http_transport(config)
        self._caller = Caller(config, carrier, clock=clock, sleep=sleep, chance=chance)
        self.keys = Keys(self._caller)
