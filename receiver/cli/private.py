"""The private listener, next to the rest of a process."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal

import click
import structlog

from receiver.admin.runner import Runner
from receiver.admin.server import Server, build_server
from receiver.cli.listener import listen
from receiver.cli.renewal import Renew, renewable
from receiver.errors import ConfigError
from receiver.listener import origin
from receiver.wiring.admin import open_admin

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from receiver.settings import Settings
    from receiver.store import Store
    from receiver.telemetry.refusals import Refusals

Wish = Literal["always", "if possible", "if asked for"]
"""`always` refuses to start without it; `if asked for` needs RECEIVER_ADMIN_PORT to be set."""

log = structlog.get_logger()


@asynccontextmanager
async def running_admin(
    settings: "Settings", store: "Store", refusals: "Refusals", stopped: asyncio.Event, *, wish: Wish
) -> AsyncIterator[Renew]:
    """Serve the private endpoint within the block, if wanted; set *stopped* if it ends by itself.

    The yielded object accepts new settings.

    Raises:
        ConfigError: it is required but not available.
    """
    is_asked_for = wish == "always" or "admin_port" in settings.model_fields_set
    if wish == "if asked for" and not is_asked_for:
        yield _nothing_to_renew
        return
    async with contextlib.AsyncExitStack() as stack:
        renew: Renew = _nothing_to_renew
        with _forgiven(unless=is_asked_for):
            runner = Runner(store)
            stack.push_async_callback(runner.aclose)
            make = partial(open_admin, store=store, refusals=refusals, runner=runner)
            admin = await stack.enter_async_context(renewable(make, settings))
            _, token = admin.current

            async def app(scope: "Scope", receive: "Receive", send: "Send") -> None:
                await admin.current[0](scope, receive, send)

            listener = listen(settings.admin_host, settings.admin_port, prefix="RECEIVER_ADMIN_")
            server = build_server(app)
            await stack.enter_async_context(serving(server, listener, stopped))
            log.info(
                "admin ready", url=origin(listener), **({"kept_in": str(token.path)} if token.path else {})
            )
            # Shown once, and not logged: logs are kept and copied.
            if token.is_new and sys.stderr.isatty():
                click.echo(f"The token of the admin API, kept in {token.path}: {token.text}", err=True)
            renew = admin.renew
        yield renew


async def _nothing_to_renew(_settings: "Settings") -> None:
    """Do nothing: there is no private endpoint."""


@contextlib.contextmanager
def _forgiven(*, unless: bool) -> Iterator[None]:
    """Continue without a private listener that nobody asked for: webhooks are more important."""
    try:
        yield
    except ConfigError as error:
        if unless:
            raise
        log.warning("admin not started", error=str(error))


@asynccontextmanager
async def serving(server: Server, listener: socket.socket, stopped: asyncio.Event) -> AsyncIterator[None]:
    """Serve on *listener* within the block; set *stopped* if it ends by itself."""
    serving = asyncio.create_task(server.serve([listener]))
    serving.add_done_callback(lambda _: stopped.set())
    try:
        yield
    finally:
        server.stop()
        await serving
