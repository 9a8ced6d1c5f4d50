"""The listener for consumers of `pull:` destinations, next to the rest of a process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog

from receiver.admin.server import build_server
from receiver.cli.listener import listen
from receiver.cli.private import Wish, serving
from receiver.cli.renewal import Renew, Renewable, renewable
from receiver.errors import ConfigError
from receiver.listener import origin
from receiver.wiring.pull import open_pull, pulled

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from receiver.settings import Settings
    from receiver.store import Store

log = structlog.get_logger()


@asynccontextmanager
async def running_pull(
    settings: "Settings", store: "Store", stopped: asyncio.Event, *, wish: Wish, listens: bool
) -> AsyncIterator[Renew]:
    """Serve consumers within the block, once there is a destination; set *stopped* if it ends by itself.

    If nothing else does, it *listens* for signals of other machines. The yielded object accepts new settings.

    Raises:
        ConfigError: it is required but not available, or a destination has no token.
    """
    if wish == "always" and not pulled(settings):
        raise ConfigError("there is no pull: destination: set RECEIVER_DESTINATIONS__<NAME>__URL=pull:")
    asked_for = is_asked_for(settings, wish)
    async with AsyncExitStack() as stack:
        running: list[Renewable[ASGIApp]] = []

        async def renew(settings: "Settings") -> None:
            if running:
                await running[0].renew(settings)
            elif asked_for and pulled(settings):
                started = _started(settings, store, stopped, listens=listens)
                running.append(await stack.enter_async_context(started))

        await renew(settings)
        yield renew


def is_asked_for(settings: "Settings", wish: Wish) -> bool:
    """Whether consumers are served as soon as there is a `pull:` destination."""
    return wish != "if asked for" or "pull_port" in settings.model_fields_set


@asynccontextmanager
async def _started(
    settings: "Settings", store: "Store", stopped: asyncio.Event, *, listens: bool
) -> "AsyncIterator[Renewable[ASGIApp]]":
    listener = listen(settings.pull_host, settings.pull_port, prefix="RECEIVER_PULL_")
    listening = asyncio.create_task(store.listen()) if listens else None
    try:
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(renewable(partial(open_pull, store=store), settings))

            async def app(scope: "Scope", receive: "Receive", send: "Send") -> None:
                await api.current(scope, receive, send)

            server = build_server(app)
            await stack.enter_async_context(serving(server, listener, stopped))
            # Answer waiting consumers before the server waits for their requests.
            stack.push_async_callback(api.aclose)
            url = f"{origin(listener)}/v1/pull/<destination>"
            log.info("pull ready", url=url, destinations=pulled(settings))
            yield api
    finally:
        if listening:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
