"""Clients of either kind, asked in the same way, and small things their contract tests share."""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from receiver.client import AsyncClient, AsyncSessionClient, Client, SessionClient, Webhook
from receiver.sandbox import Knobs, Sandbox

KINDS: Final = ("Client", "AsyncClient")
QUICK: Final = Knobs(image_delay_s=0.02, video_delay_s=0.02, duplicate_rate=0, rate_limit=100_000)

Make = Callable[..., Client]
"""Makes a client from a key, a base URL and the options of `Client`."""


class Awaited:
    """An AsyncClient that can be asked like a Client: each call runs to its end on an event loop."""

    def __init__(self, target: object, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return Awaited(value, self._loop) if hasattr(value, "_caller") else value
        return lambda *args, **kwargs: self._finish(value(*args, **kwargs))

    def _finish(self, result: Any) -> Any:
        if inspect.isasyncgen(result):
            return self._run(_collect(result))
        return self._run(result) if inspect.iscoroutine(result) else result

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)


def shown_secret(sandbox: Sandbox, webhook: Webhook) -> str | None:
    """Return the secret that the provider shows of a new *webhook*, in its dialect."""
    dialect = sandbox.dialect
    own = sandbox.secret_of(webhook.id)
    assert (own == sandbox.webhook_secret) == (dialect.webhook_secrets == "account")  # whose
    return own if dialect.webhook_secret_field else None


@contextmanager
def clients(kind: str) -> Iterator[Make]:
    """Yield what makes clients of *kind*, and close them at the end."""
    with _makers(Client if kind == "Client" else AsyncClient) as make:
        yield make


@contextmanager
def session_clients(kind: str) -> Iterator[Callable[..., SessionClient]]:
    """Yield what makes the session clients that go with *kind*, and close them at the end."""
    with _makers(SessionClient if kind == "Client" else AsyncSessionClient) as make:
        yield make


@contextmanager
def _makers(kind: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    made: list[Any] = []
    with _running_loop() as loop:

        def make(credential: str, url: str, sleep: Callable[[float], None] = quickly, **options: Any) -> Any:
            async def asleep(seconds: float) -> None:
                await asyncio.to_thread(sleep, seconds)

            if kind in {Client, SessionClient}:
                made.append(kind(credential, base_url=url, sleep=sleep, **options))
            else:
                made.append(Awaited(kind(credential, base_url=url, sleep=asleep, **options), loop))
            return made[-1]

        try:
            yield make
        finally:
            for client in made:
                client.close()


def quickly(seconds: float) -> None:
    """Sleep, but not for long."""
    time.sleep(min(seconds, 0.02))


@contextmanager
def _running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _collect(rows: Any) -> list[Any]:
    return [row async for row in rows]
