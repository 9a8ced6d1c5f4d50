"""Exchanges over HTTP/1.1, by httpx2's transport alone: no cookies, redirects, environment or log of URLs."""

import ssl
import threading
from functools import cache
from typing import Any, Final

import httpx2

from receiver import forks
from receiver.client.connections import AsyncConnections, Home, OutOfTime, is_left
from receiver.client.wire import MAX_ANSWER_BYTES, Answer, Lost, Outgoing, Reply, Sink, Timeout, Unsent

_of_parents: Final[list[object]] = []
"""Never closed: that would end the parent's connection at the server."""
_NEVER_CONNECTED = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    OutOfTime,
)


class HttpTransport(forks.Forkable):
    """Sends each request once, and returns the reply."""

    def __init__(self, timeout: Timeout, *, proxy: str | None = None) -> None:
        self._timeout = timeout
        self._proxy = proxy
        self._kept: dict[Home, AsyncConnections] = {}
        self._lock = threading.Lock()
        forks.watch(self)

    def after_fork(self) -> None:
        """Leave the connections to the parent: two processes sharing one would read each other's answers."""
        self._lock = threading.Lock()
        _of_parents.append(self._kept)
        self._kept = {}

    async def send(self, outgoing: Outgoing, *, sink: Sink | None = None) -> Reply:
        """Send once, whatever the result. The body of a 2xx goes to *sink*, if there is one."""
        if not outgoing.fresh:
            return await self._exchange(self._keep(), outgoing, sink)
        async with self._connections() as fresh:
            return await self._exchange(fresh, outgoing, sink)

    async def close(self) -> None:
        """Close every connection of this process and event loop."""
        with self._lock:
            kept = self._kept.pop(AsyncConnections.home(), None)
        if kept is not None:
            await kept.aclose()

    def _keep(self) -> AsyncConnections:
        home = AsyncConnections.home()
        # Two threads that start at once must not create two: nobody would close one of them.
        with self._lock:
            for left in filter(is_left, list(self._kept)):
                del self._kept[left]
            if home not in self._kept:
                self._kept[home] = self._connections()
            return self._kept[home]

    def _connections(self) -> AsyncConnections:
        return AsyncConnections(verify=_tls(), proxy=self._proxy)

    async def _exchange(self, connections: AsyncConnections, outgoing: Outgoing, sink: Sink | None) -> Reply:
        writing = _Writing()
        try:
            request = self._request(outgoing, writing)
            async with connections.within(outgoing.total_s):
                response = await connections.handle_async_request(request)
                reply = await self._answer(response, sink)
        except httpx2.InvalidURL:
            return Unsent("the URL cannot be read")
        except UnicodeError:  # a host whose labels are too long or empty, or half a character in the path
            if writing.started:
                raise
            return Unsent("the URL cannot be read")
        except (httpx2.HTTPError, ssl.SSLError) as error:  # httpx2 passes on an SSLError while reading
            if isinstance(error, _NEVER_CONNECTED) and not writing.started:
                return Unsent(_describe(error))
            return Lost(_describe(error))
        return reply

    def _request(self, outgoing: Outgoing, writing: "_Writing") -> httpx2.Request:
        limits = outgoing.timeout or self._timeout
        timeout = {
            "connect": limits.connect_s,
            "read": limits.read_s,
            "write": limits.read_s,
            "pool": limits.total_s,
        }
        return httpx2.Request(
            outgoing.method,
            outgoing.url,
            headers=dict(outgoing.headers) | ({"Connection": "close"} if outgoing.fresh else {}),
            content=outgoing.content,
            extensions={"timeout": timeout, "trace": writing.trace},
        )

    async def _answer(self, response: httpx2.Response, sink: Sink | None) -> Reply:
        body = bytearray()
        keep = sink if sink is not None and response.is_success else body.extend
        try:
            async for chunk in response.aiter_bytes():
                keep(chunk)
                if len(body) > MAX_ANSWER_BYTES:
                    return Lost(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, bytes(body))


class _Writing:
    """Notes the moment from which the server may have seen the request."""

    def __init__(self) -> None:
        self.started = False

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self.started = True


@cache
def _tls() -> ssl.SSLContext:
    # One for the process: reading the certificates takes longer than connecting.
    return httpx2.create_ssl_context(trust_env=False)


def _describe(error: Exception) -> str:
    words = str(error).strip()
    name = type(error).__name__
    return f"{name}: {words}" if words else name
