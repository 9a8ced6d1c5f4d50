"""The listener that consumers of `pull:` destinations ask, beside whatever else a process does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from receiver.admin.server import build_server
from receiver.cli.listener import listen
from receiver.cli.private import Wish, serving
from receiver.errors import ConfigError
from receiver.listener import origin
from receiver.wiring.pull import build_pull, pulled

if TYPE_CHECKING:
    from receiver.settings import Settings
    from receiver.store import Store

log = structlog.get_logger()


@asynccontextmanager
async def running_pull(
    settings: "Settings", store: "Store", stopped: asyncio.Event, *, wish: Wish, listens: bool
) -> AsyncIterator[None]:
    """Answer consumers within the block, if there are any to be; set *stopped* if that ends by itself.

    Where nobody else does, it *listens* to what other machines signal.

    Raises:
        ConfigError: it is asked for and cannot be had, or a destination has no token.
    """
    is_asked_for = wish == "if possible" or "pull_port" in settings.model_fields_set
    names = pulled(settings)
    if wish == "always" and not names:
        raise ConfigError("there is no pull: destination: set RECEIVER_DESTINATIONS__<NAME>__URL=pull:")
    if not names or not (is_asked_for or wish == "always"):
        yield
        return
    app, bell = build_pull(settings, store)
    listener = listen(settings.pull_host, settings.pull_port, prefix="RECEIVER_PULL_")
    helpers = [asyncio.create_task(one) for one in (bell.run(), *([store.listen()] if listens else []))]
    try:
        async with serving(build_server(app), listener, stopped):
            log.info("pull ready", url=f"{origin(listener)}/v1/pull/<destination>", destinations=names)
            try:
                yield
            finally:
                bell.stop()
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
