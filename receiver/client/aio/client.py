"""`AsyncClient`: the provider's API, typed."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, Unpack

from receiver.client import requests
from receiver.client.aio.caller import Caller
from receiver.client.aio.generate import Generate
from receiver.client.aio.generations import Generations
from receiver.client.aio.submissions import Submissions
from receiver.client.aio.webhooks import Webhooks
from receiver.client.config import NOT_CARRIED, Config, configure
from receiver.client.ledger import Events, Ledger, MemoryLedger
from receiver.client.pacer import Priority, pacer_for
from receiver.client.paid_calls import Asked, check_asked
from receiver.client.parameters import INHERIT, Inherit
from receiver.client.results import Generation, ModelList, RateLimit
from receiver.client.shared_pace import PaceStore, SharedPace, pace_name
from receiver.client.wire import AsyncTransport, Timeout
from receiver.contract import Kind
from receiver.errors import ClientError


class Connected:
    """A client with its own connections."""

    _caller: Caller

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._caller.config.base_url!r})"

    async def close(self) -> None:
        """Close every connection of this process and event loop.

        The client may still be used; it will reconnect.
        """
        await self._caller.close()

    def __reduce__(self) -> str:
        raise TypeError(NOT_CARRIED)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def http_transport(config: Config) -> AsyncTransport:
    """Return what carries exchanges over the network."""
    # Imported on first use: the HTTP library takes longer to import than everything else here.
    from receiver.client.aio.transport import HttpTransport  # noqa: PLC0415

    return HttpTransport(config.timeout, proxy=config.proxy)


class Models:
    """Reads models."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self, type: Kind | None = None) -> ModelList:  # noqa: A002  # the document's word
        """Return the models on offer, all or those for `image` or `video`."""
        return await self._caller.call(requests.list_models(type))


_REMEMBERED = 1000


class AsyncClient(Connected):
    """The provider's API.

    One instance serves many calls at once, from any thread and event loop, and in processes forked later:
    each opens its own connections. All clients of a process with the same key share its rate limit.

    Args:
        api_key: by default `RECEIVER_API_KEY`.
        base_url: by default `RECEIVER_API_BASE_URL`, else the address in the API document.
        webhook_url: sent with every generation without its own.
        timeout: in seconds, or a `Timeout`.
        max_retries: repetitions after the first attempt. A call that may charge is repeated only if it was
            certainly not accepted.
        priority: `background` leaves part of the rate limit to `interactive` calls of the same key.
        ledger: records requests, so that no `client_ref` is ever charged twice, not even after a crash; see
            `receiver.client.ledger`.
        events: knows finished generations, so that waiting costs fewer requests; by default the ledger.
        pace: shares the rate limit of the key with other programs.
        proxy: `http://host:port`; none is taken from the environment.
        clock: the time, in seconds since the epoch; for tests, like the rest.
        sleep: waits for as many seconds.
        chance: random numbers in [0, 1).
        transport: carries the exchanges.

    Raises:
        ConfigError: a setting is missing or cannot work; the message names it.
    """

    def __init__(  # noqa: PLR0913  # all but the key have defaults
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        webhook_url: str | None = None,
        timeout: Timeout | float | None = None,
        max_retries: int = 4,
        priority: Priority = "interactive",
        ledger: Ledger | None = None,
        events: Events | None = None,
        pace: PaceStore | None = None,
        proxy: str | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        transport: AsyncTransport | None = None,
    ) -> None:
        config = configure(
            api_key,
            base_url=base_url,
            webhook_url=webhook_url,
            timeout=timeout,
            max_retries=max_retries,
            priority=priority,
            proxy=proxy,
        )
        carrier = transport or http_transport(config)
        pacer = pacer_for(config, clock)
        shared = None if pace is None else SharedPace(pace, pace_name(config), pacer)
        self._ledger = ledger
        self._events = ledger if events is None else events
        self._remembered = MemoryLedger(limit=_REMEMBERED) if ledger is None else ledger
        self._use(
            Caller(config, carrier, clock=clock, sleep=sleep, chance=chance, pacer=pacer, shared=shared)
        )

    async def run(
        self,
        kind: Kind,
        prompt: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # it ends in WaitTimeout, with what was last seen
        raise_on_failed: bool = True,
        **asked: Unpack[Asked],
    ) -> Generation:
        """Request an image or a video, wait until it is finished, and return it.

        This is `generate.image` or `generate.video`, then `generations.wait`, with the parameters of both.
        Whatever ends the wait, the generation is paid for and continues: the error's note has its id.

        Raises:
            InvalidParameter: a value the API document does not allow, or not for this kind; nothing was sent.
            GenerationFailed: it failed, and *raise_on_failed* is set.
            WaitTimeout: it was still processing; it may finish yet.
            ClientError: whatever else `generate` and `wait` raise.
        """
        check_asked(kind, asked)
        ask: Any = self.generate.image if kind == "image" else self.generate.video
        made: Generation = await ask(prompt, **asked)
        try:
            return await self.generations.wait(made, timeout=timeout, raise_on_failed=raise_on_failed)
        except ClientError as error:
            error.add_note(
                f"It was requested and is paid for: generations.wait({made.id!r}) continues to wait."
            )
            raise

    @property
    def rate_limit(self) -> RateLimit | None:
        """The rate limit as last seen; None before the first answer that carried one."""
        return self._caller.pacer.rate_limit

    def with_options(
        self,
        *,
        webhook_url: str | Inherit | None = INHERIT,
        timeout: Timeout | float | None = None,  # a limit for each call to come
        max_retries: int | None = None,
        priority: Priority | None = None,
    ) -> Self:
        """Return a client with these options changed, on the same connections, rate limit and ledger.

        Closing either closes the connections of both.
        """
        changed = self._caller.config.changed(
            webhook_url=webhook_url, timeout=timeout, max_retries=max_retries, priority=priority
        )
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._use(self._caller.configured(changed))  # one of us
        return other

    def _use(self, caller: Caller) -> None:
        self._caller = caller
        submissions = Submissions(caller, self._remembered)
        self.generate = Generate(caller, submissions, durable=self._ledger is not None)
        self.generations = Generations(caller, self._events)
        self.models = Models(caller)
        self.webhooks = Webhooks(caller)
