"""SIGHUP: new settings for all parts of a running process, or for none."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Generic, TypeVar

import structlog

from receiver.errors import ConfigError
from receiver.settings import Settings, explain
from receiver.wiring.renewal import changed, renewed

T = TypeVar("T")
Make = Callable[[Settings], AbstractAsyncContextManager[T]]
Renew = Callable[[Settings], Awaitable[None]]

log = structlog.get_logger()


class Renewable(Generic[T]):
    """An object built from the settings, and replaced while in use."""

    current: T

    def __init__(
        self, make: Make[T], made_of: Callable[[Settings], object] | None, remake: Make[T] | None
    ) -> None:
        self._make = make
        self._remake = remake or make
        self._made_of = made_of
        self._known: object = None
        self._stack = AsyncExitStack()

    async def renew(self, settings: Settings) -> None:
        """Replace it, and end the old one.

        If its input, *made of*, is given and unchanged, it stays. Then there is only one at a time.
        """
        if self._made_of:
            known, self._known = self._known, self._made_of(settings)
            if known == self._known:
                return
            await self._stack.aclose()
        stack = AsyncExitStack()
        self.current = await stack.enter_async_context(self._make(settings))
        self._make = self._remake
        old, self._stack = self._stack, stack
        await old.aclose()

    async def aclose(self) -> None:
        """End it."""
        await self._stack.aclose()


@asynccontextmanager
async def renewable(
    make: Make[T],
    settings: Settings,
    *,
    made_of: Callable[[Settings], object] | None = None,
    remake: Make[T] | None = None,
) -> AsyncIterator[Renewable[T]]:
    """Offer the result of *make* for *settings*, which ends with the block; *remake* makes the next ones."""
    offered = Renewable(make, made_of, remake)
    async with contextlib.aclosing(offered):
        await offered.renew(settings)
        yield offered


class HangUps:
    """SIGHUPs; several at once count as one. They are kept from creation on.

    In a terminal, SIGHUP means that the terminal was closed, and ends the process as usual.
    """

    def __init__(self) -> None:
        self._came = asyncio.Event()
        if not os.isatty(0):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._came.set)

    async def follow(
        self,
        settings: Settings,
        parts: Sequence[Renew],
        *,
        check: Callable[[Settings], Awaitable[None]],
        until: asyncio.Event,
    ) -> None:
        """Reload the settings at each signal, in all *parts* in order, *until* it is time to stop.

        If *check* refuses them, nothing changes.
        """
        while await self._comes_before(until):
            wanted = await _read(settings, check)
            if wanted is not None:
                for renew in parts:
                    await renew(wanted)
                log.info("settings reloaded", changed=changed(settings, wanted))
                settings = wanted

    async def _comes_before(self, until: asyncio.Event) -> bool:
        waits = [asyncio.ensure_future(one.wait()) for one in (until, self._came)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
        self._came.clear()
        return not until.is_set()


async def _read(settings: Settings, check: Callable[[Settings], Awaitable[None]]) -> Settings | None:
    """Return the settings to use, after logging which changes need a restart; None: keep the old ones."""
    try:
        new = Settings.load()
        wanted = renewed(settings, new)
        await check(wanted)
    except ConfigError as error:
        log.error("reload refused", error=explain(error))  # noqa: TRY400  no bug of ours
        return None
    except Exception:
        log.exception("reload crashed")
        return None
    if waiting := changed(wanted, new):
        log.warning("settings need a restart", settings=waiting)
    return wanted
