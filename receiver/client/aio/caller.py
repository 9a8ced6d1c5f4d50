"""Sends requests: pace, send, decide, and perhaps retry."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from receiver.client.config import Config
from receiver.client.decisions import Again, Attempt, Done, Moved, Refused, TooLate, decide
from receiver.client.downloads import Partial, decide_download
from receiver.client.pacer import JITTER_S, Pacer, Priority, lower
from receiver.client.shared_pace import SharedPace
from receiver.client.wire import Answer, AsyncTransport, Outgoing, Reply, Request

T = TypeVar("T")

LONGEST_ORDER_S = 300.0
"""A paid request is given up after this time, whatever the timeout: `SETTLING_S` relies on it."""


class Caller:
    """The caller that every resource uses."""

    def __init__(
        self,
        config: Config,
        transport: AsyncTransport,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        chance: Callable[[], float],
        pacer: Pacer | None = None,
        shared: SharedPace | None = None,
    ) -> None:
        self.config = config
        self.clock = clock
        self.sleep = sleep
        self.pacer = Pacer() if pacer is None else pacer
        self._shared = shared
        self._transport = transport
        self._chance = chance

    def configured(self, config: Config) -> "Caller":
        """Return a caller with another configuration that shares connections and pace."""
        return Caller(
            config,
            self._transport,
            clock=self.clock,
            sleep=self.sleep,
            chance=self._chance,
            pacer=self.pacer,
            shared=self._shared,
        )

    async def call(
        self,
        request: Request[T],
        *,
        priority: Priority | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
        deadline: float = math.inf,
    ) -> T:
        """Send *request* until it is answered, refused or in doubt.

        *before* is called just before each attempt; if it raises, nothing is sent.

        Raises:
            TooLate: it would have to wait beyond *deadline* for its turn, or for another attempt.
        """
        attempt = Attempt(1, request.url(self.config.base_url), self.clock())
        while True:
            while (wait := await self._leave(lower(self.config.priority, priority))) > 0:
                await self._pause_within(deadline, wait)
            attempt = replace(attempt, sent_at=self.clock(), chance=self._chance())
            reply = await self._send(request, attempt, before)
            decision = decide(request, reply, attempt, max_retries=self.config.max_retries)
            if isinstance(decision, Again | Refused) and decision.anew:
                await self._transport.close()
            match decision:
                case Done(result):
                    return result
                case Refused(error):
                    raise error
                case Moved(url):
                    attempt = replace(attempt, number=attempt.number + 1, url=url)
                case Again(after_s, doubted):
                    await self._pause_within(deadline, after_s)
                    doubted = doubted or attempt.doubted
                    attempt = replace(attempt, number=attempt.number + 1, doubted=doubted)

    async def fetch(self, name: str, url: str, partial: Partial) -> str:
        """Fetch an asset into *partial*, without the API key; return its content type."""
        attempt = Attempt(1, url, self.clock())
        while True:
            partial.restart()
            attempt = replace(attempt, sent_at=self.clock(), chance=self._chance())
            outgoing = Outgoing("GET", attempt.url, _ANONYMOUS, timeout=self.config.timeout)
            reply = await self._transport.send(outgoing, sink=partial.write)
            retries, fault = self.config.max_retries, partial.fault
            match decide_download(name, reply, attempt, fault=fault, max_retries=retries):
                case Done(content_type):
                    return content_type
                case Refused(error):
                    raise error
                case Moved(url):
                    attempt = replace(attempt, number=attempt.number + 1, url=url)
                case Again(after_s):
                    await self.pause(after_s)
                    attempt = replace(attempt, number=attempt.number + 1)

    async def pause(self, seconds: float) -> None:
        """Sleep, if there is time to wait."""
        if seconds > 0:
            await self.sleep(seconds)

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.close()

    async def _pause_within(self, deadline: float, seconds: float) -> None:
        if seconds > 0 and self.clock() + seconds > deadline:
            raise TooLate
        await self.pause(seconds)

    async def _leave(self, priority: Priority) -> float:
        """Reserve one request and return 0, or return the seconds to wait before asking again."""
        wait = self.pacer.reserve(self.clock(), self._chance(), priority)
        if wait > 0 or self._shared is None:
            return wait
        wait = 0.0
        try:
            wait = await asyncio.to_thread(self._shared.take, self.clock(), priority)
        except BaseException:
            wait = math.inf
            raise
        finally:
            if wait > 0:
                self.pacer.observe(None, self.clock())
        return wait and wait + self._chance() * JITTER_S

    async def _send(
        self, request: Request[T], attempt: Attempt, before: Callable[[], Awaitable[None]] | None
    ) -> Reply:
        content = request.content()
        kind = {} if content is None else {"Content-Type": "application/json"}
        outgoing = Outgoing(
            request.method,
            attempt.url,
            {**_ANONYMOUS, **self.config.headers(), **kind},
            content,
            fresh=not request.repeatable,
            total_s=min(self.config.timeout.total_s, math.inf if request.repeatable else LONGEST_ORDER_S),
            timeout=self.config.timeout,
        )
        reply = None
        try:
            if before is not None:
                await before()
            reply = await self._transport.send(outgoing)
        finally:
            self.pacer.observe(reply, self.clock(), sent_at=attempt.sent_at)
        if self._shared is not None and isinstance(reply, Answer):
            await asyncio.to_thread(self._shared.learn, reply, self.clock())
        return reply


_ANONYMOUS = {"Accept-Encoding": "identity", "User-Agent": "avs-receiver"}
