"""The network below the asset fetcher: it dials exactly the address that it has checked.

A check made before the client resolves a name again is worthless (DNS rebinding), so resolving, checking and
connecting are one step here. The client above still uses the host's name, for SNI and the Host header.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv6Network
from typing import Any, Final

import httpcore2

from receiver.assets.allowlist import AllowList, parse_address
from receiver.assets.guard import check_address
from receiver.assets.nat64 import DISCOVERY_NAME, discovered
from receiver.assets.underscore import UnderscoreStream, Unnamed
from receiver.assets.wire import Network
from receiver.threads import DaemonThreads

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Return every address of a host, in the order to try them; raise OSError if there is none."""

_Answers = Sequence[tuple[Any, ...]]

_DNS_THREADS: Final = 16
_NO_ADDRESS: Final = frozenset(("0.0.0.0", "::"))  # noqa: S104  not to listen on
_NAT64_LOOK_S: Final = 2.0
_NAT64_LOOK_EVERY_S: Final = 600.0


class SystemResolver:
    """`getaddrinfo` in separate threads, so that a dead name server delays only downloads of its own names.

    A thread in `getaddrinfo` cannot be cancelled, even after all callers have given up. So all callers for
    one name share the look-up in progress: a name never holds more than one thread.
    """

    def __init__(self) -> None:
        self._threads = DaemonThreads(_DNS_THREADS, name="receiver-dns")
        self._under_way: dict[str, asyncio.Future[_Answers]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Resolve *host* as the operating system does."""
        lookup = self._under_way.get(host) or self._look_up(host, port)
        await asyncio.wait([lookup])  # unlike await, leaves it running if we are cancelled
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in lookup.result()))

    def _look_up(self, host: str, port: int) -> asyncio.Future[_Answers]:
        lookup: asyncio.Future[_Answers] = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        self._under_way[host] = lookup
        lookup.add_done_callback(lambda done: self._forget(host, done))
        return lookup

    def _forget(self, host: str, done: asyncio.Future[_Answers]) -> None:
        del self._under_way[host]
        if not done.cancelled():
            done.exception()  # perhaps nobody waits for it any more

    def close(self) -> None:
        """Release the threads; those that still wait for a name server end with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class NameNotResolved(Exception):
    """The host has no address, or its name servers did not answer."""


class Nat64:
    """The prefixes with which our network maps IPv4 addresses."""

    def __init__(self, *, resolve: Resolve, given: Sequence[IPv6Network] = ()) -> None:
        self._resolve = resolve
        self._given = tuple(given)
        self._found: tuple[IPv6Network, ...] = ()
        self._look_again_at = -1.0

    async def prefixes(self) -> tuple[IPv6Network, ...]:
        """Return the operator's prefixes, and those that the network announces."""
        if time.monotonic() > self._look_again_at:
            self._found = await self._look()
            self._look_again_at = time.monotonic() + _NAT64_LOOK_EVERY_S
        return (*self._given, *self._found)

    async def _look(self) -> tuple[IPv6Network, ...]:
        with suppress(OSError, UnicodeError, TimeoutError):
            async with asyncio.timeout(_NAT64_LOOK_S):
                return discovered(await self._resolve(DISCOVERY_NAME, 443))
        return ()


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Dials only addresses that `check_address` permits, and hosts that *allow* names."""

    def __init__(
        self,
        *,
        resolve: Resolve,
        allow: AllowList,
        nat64_prefixes: Sequence[IPv6Network] = (),
        unnamed: Unnamed | None = None,
    ) -> None:
        """Dial nothing yet. With *unnamed*, names may contain an underscore."""
        self._resolve = resolve
        self._allow = allow
        self._unnamed = unnamed
        self._nat64 = Nat64(resolve=resolve, given=nat64_prefixes)
        self._network: httpcore2.AsyncNetworkBackend = Network()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolve *host*, check every address, and connect to the first that accepts.

        Raises:
            NameNotResolved: there is nothing to dial.
            BlockedAddress: at least one answer is not permitted; nothing was dialled.
            httpcore2.ConnectError: no address accepted the connection.
            httpcore2.ConnectTimeout: none accepted in time.
            TimeoutError: resolving took too long.
        """
        async with asyncio.timeout(timeout):
            addresses = await self._permitted_addresses(host, port)
        # Split the time, so that an address that drops packets leaves some for the next.
        share = timeout and timeout / len(addresses)
        failure: Exception = httpcore2.ConnectError("no address")
        for address in addresses:
            try:
                stream = await self._network.connect_tcp(address, port, share, local_address, socket_options)
                return UnderscoreStream(stream, self._unnamed) if "_" in host and self._unnamed else stream
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _permitted_addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = [host] if parse_address(host) else await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise NameNotResolved(f"{host} did not resolve") from error
        if not self._allow.names(host, port):
            addresses = await self._checked(addresses)
        if not addresses:
            raise NameNotResolved(f"{host} has no address")
        return addresses

    async def _checked(self, addresses: Sequence[str]) -> Sequence[str]:
        """Refuse addresses that are not public; ignore those by which DNS filters say that there is none."""
        addresses = [each for each in addresses if each not in _NO_ADDRESS or self._allow.matches(each, 0)]
        nat64 = await self._nat64.prefixes() if any(":" in each for each in addresses) else ()
        for address in addresses:
            check_address(address, allow=self._allow, nat64=nat64)
        return addresses
