"""One service process: start its parts, stop them on a signal, in order."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
import uvloop

from receiver.cli.listener import announce_ready, listen
from receiver.cli.private import Wish, running_admin
from receiver.cli.pulling import is_asked_for, running_pull
from receiver.cli.renewal import HangUps, Renew, renewable
from receiver.errors import StoreUnavailable
from receiver.listener import origin
from receiver.settings import Settings
from receiver.store import Store
from receiver.telemetry import metrics
from receiver.telemetry.otlp import exporting
from receiver.telemetry.refusals import Refusals
from receiver.web.app import PublicApp
from receiver.web.server import Server
from receiver.wiring.renewal import check_renewed, used_by_worker
from receiver.wiring.sources import build_sources
from receiver.wiring.stores import build_store, reroute
from receiver.wiring.web import build_refusals, build_web
from receiver.wiring.worker import build_secret_use, open_worker

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)

_SWITCH_S: Final = 0.001

log = structlog.get_logger()


def run(settings: Settings, *, with_web: bool, with_worker: bool, admin: Wish, pull: Wish) -> None:
    """Run until SIGTERM or SIGINT, then drain. A second signal ends the process at once."""
    with exporting():
        uvloop.run(_run(settings, with_web=with_web, with_worker=with_worker, admin=admin, pull=pull))


async def _run(settings: Settings, *, with_web: bool, with_worker: bool, admin: Wish, pull: Wish) -> None:
    if with_web:
        build_sources(settings)  # refuse bad secrets before anything is written
    store = build_store(settings, settles_at_once=with_worker)
    stopped, hang_ups = asyncio.Event(), HangUps()
    for number in _STOPPING:
        asyncio.get_running_loop().add_signal_handler(number, _on_signal, number, stopped)
    try:
        await _warn_unless_ready(store)
        # Refuse bad settings before anything runs.
        refusals = build_refusals(settings)
        web = prepare_web(settings, store, refusals) if with_web else None
        parts: list[Renew] = [_rerouting(store)]
        async with AsyncExitStack() as stack:
            private = running_admin(settings, store, refusals, stopped, wish=admin)
            parts.append(await stack.enter_async_context(private))
            worker = None
            if with_worker:
                make = partial(running_worker, store=store, stopped=stopped)
                remake = partial(make, reloaded=True)
                offered = renewable(make, settings, made_of=used_by_worker, remake=remake)
                worker = await stack.enter_async_context(offered)
            pulling = running_pull(settings, store, stopped, wish=pull, listens=not with_worker)
            parts.append(await stack.enter_async_context(pulling))
            if web:
                await stack.enter_async_context(running_web(web))
                parts.append(web.renew)
                noting = renewable(partial(noting_secrets, store=store), settings)
                parts.append((await stack.enter_async_context(noting)).renew)
            if worker:
                # Last, because it first finishes its current work.
                parts.append(worker.renew)
            _spare_the_collector()
            _share_the_interpreter()
            announce_ready()
            check = partial(check_renewed, with_web=with_web, pulls=is_asked_for(settings, pull))
            await hang_ups.follow(settings, parts, check=check, until=stopped)
    finally:
        store.close()


def _share_the_interpreter() -> None:
    """Let a committing thread get the interpreter sooner than after the usual 5 ms."""
    sys.setswitchinterval(_SWITCH_S)


def _spare_the_collector() -> None:
    """Exclude start-up objects from garbage collection."""
    gc.collect()
    gc.freeze()


def _on_signal(number: int, stopped: asyncio.Event) -> None:
    log.info("stopping", signal=signal.Signals(number).name)
    stopped.set()
    for handled in _STOPPING:
        asyncio.get_running_loop().remove_signal_handler(handled)


async def _warn_unless_ready(store: Store) -> None:
    try:
        await store.check()
    except StoreUnavailable as error:
        log.warning("not ready", error=str(error))


def _rerouting(store: Store) -> Renew:
    async def renew(settings: Settings) -> None:
        reroute(settings, store)
        # Nobody would ever report a removed destination as working.
        metrics.BREAKER_OPEN.clear()

    return renew


def _ended(stopped: asyncio.Event, _task: "asyncio.Task[None]") -> None:
    stopped.set()


@dataclass(frozen=True, slots=True)
class Web:
    """The public endpoint; its port is taken, but not served yet."""

    app: PublicApp
    server: Server
    listener: socket.socket

    @property
    def origin(self) -> str:
        """Its URL, such as `http://127.0.0.1:8000`."""
        return origin(self.listener)

    async def renew(self, settings: Settings) -> None:
        """Use the sources in *settings* from the next request on."""
        self.app.change_sources(build_sources(settings))


def prepare_web(settings: Settings, store: Store, refusals: Refusals) -> Web:
    """Build the public endpoint and take its port.

    Raises:
        ConfigError: there is no usable secret, or the port is not available.
    """
    app = build_web(settings, store, refusals)
    server = Server(app, shutdown_delay_s=settings.shutdown_delay_s)
    return Web(app, server, listen(settings.host, settings.port))


@asynccontextmanager
async def running_web(web: Web) -> AsyncIterator[None]:
    """Serve the public endpoint within the block; at its end, stop without losing a request."""
    web.server.start(web.listener)
    log.info("listening", url=f"{web.origin}/webhooks/<source>")
    try:
        yield
    finally:
        await web.server.stop()


@asynccontextmanager
async def noting_secrets(settings: Settings, store: Store) -> AsyncIterator[None]:
    """Record used signing secrets within the block, if operators want to be notified."""
    using = build_secret_use(settings, store)
    noting = asyncio.create_task(using.run()) if using else None
    try:
        yield
    finally:
        if noting:
            noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)


@asynccontextmanager
async def running_worker(
    settings: Settings, store: Store, stopped: asyncio.Event, *, reloaded: bool = False
) -> AsyncIterator[None]:
    """Run the worker within the block; set *stopped* if it ends by itself."""
    async with open_worker(settings, store, reloaded=reloaded) as worker:
        working = asyncio.create_task(worker.run())
        ended = partial(_ended, stopped)
        working.add_done_callback(ended)
        try:
            yield
        finally:
            working.remove_done_callback(ended)
            worker.stop()
            await working
