"""`AsyncSessionClient`: the calls that need a signed-in session instead of an API key."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from receiver.client.aio.caller import Caller
from receiver.client.aio.connected import Connected, http_transport
from receiver.client.aio.keys import Keys
from receiver.client.config import configure_session
from receiver.client.timeout import Timeout
from receiver.client.wire import AsyncTransport


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
