"""`SessionClient`: the calls that a signed-in browser may make, and an API key may not."""

import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from receiver.client.blocking.caller import Caller
from receiver.client.blocking.client import http_transport
from receiver.client.blocking.keys import Keys
from receiver.client.config import NOT_CARRIED, configure_session
from receiver.client.timeout import Timeout
from receiver.client.wire import Transport


class SessionClient:
    """The provider's calls that need a session.

    Args:
        cookie: what the browser sends as its `Cookie` header once signed in: `name=value`.
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
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
        transport: Transport | None = None,
    ) -> None:
        config = configure_session(
            cookie, base_url=base_url, timeout=timeout, max_retries=max_retries, proxy=proxy
        )
        carrier = transport or http_transport(config)
        self._caller = Caller(config, carrier, clock=clock, sleep=sleep, chance=chance)
        self.keys = Keys(self._caller)

    def __repr__(self) -> str:
        return f"SessionClient(base_url={self._caller.config.base_url!r})"

    def close(self) -> None:
        """Close every connection of this process and event loop.

        The client may still be used; it will connect anew.
        """
        self._caller.close()

    def __reduce__(self) -> str:
        raise TypeError(NOT_CARRIED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
