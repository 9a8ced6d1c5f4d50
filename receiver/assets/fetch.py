"""Download an asset from a URL that anyone may have written.

The steps are: URL gate, address gate (`receiver.assets.dial`), both again for every redirect, response gate
(`receiver.assets.response`, which holds the table of codes), type by content, spool with a cap, a count and
a digest.
"""

import asyncio
import ssl
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from ipaddress import IPv6Network
from pathlib import Path
from typing import Final

import httpcore2

from receiver.assets import Begin, Fetched, NotFetched
from receiver.assets.allowlist import AllowList
from receiver.assets.answer import HungUp, Malformed
from receiver.assets.connections import Connections, Response
from receiver.assets.dial import GuardedBackend, NameNotResolved, Resolve, SystemResolver
from receiver.assets.expiry import MAX_SAID_BYTES
from receiver.assets.guard import BlockedAddress, BlockedUrl, Target, check_url
from receiver.assets.media import HEAD_BYTES, MEDIA_TYPES, sniff
from receiver.assets.response import NotAcceptable, declared_length, next_url, require_followable
from receiver.assets.spool import Spool, remove_stale
from receiver.assets.underscore import Unnamed

HEAD_TIMEOUT_S: Final = 60.0
"""From the first DNS query to the end of the response head, however many 1xx come before it."""
SAID_TIMEOUT_S: Final = 5.0
"""Time limit for the body of a refusal."""


class Fetcher:
    """Downloads assets, any number at once.

    Connections are kept for a few seconds. No proxy or netrc from the environment is used, and only the URL
    is sent.
    """

    def __init__(  # noqa: PLR0913  one keyword per setting
        self,
        *,
        allow: AllowList | Iterable[str] = (),
        hosts: Sequence[str] | None = None,
        deny_hosts: AllowList | Iterable[str] = (),
        spool_dir: Path | None = None,
        types: Collection[str] = frozenset(MEDIA_TYPES),
        max_bytes: int = 512 * 1024 * 1024,
        part_bytes: int | None = None,
        total_timeout_s: float = 300.0,
        connect_timeout_s: float = 10.0,
        nat64_prefixes: Sequence[IPv6Network] = (),
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
        unnamed_ssl_context: Unnamed | None = None,
    ) -> None:
        """Prepare to download; open no connection yet.

        Args:
            allow: networks and hosts reachable although not public, and over http.
            hosts: CDN names that assets must come from; None for any public name.
            deny_hosts: hosts (`name`, `name:port`, network) never fetched from: our own, so as not to loop.
            spool_dir: where temporary files go, created if missing; None for the system's own place.
            types: content types to keep.
            max_bytes: the largest asset.
            part_bytes: size of the parts for the bucket; their digests are then taken too.
            total_timeout_s: for a whole download, from DNS to the last byte.
            connect_timeout_s: for each of DNS, connecting and TLS.
            nat64_prefixes: prefixes with which the network maps IPv4 addresses, besides those it announces.
            resolve: instead of the system's resolver.
            ssl_context: instead of the system's certificate authorities.
            unnamed_ssl_context: makes the same, leaving names unchecked, for hosts with an underscore.

        Raises:
            ValueError: *allow* or *deny_hosts* is malformed.
            OSError: *spool_dir* cannot be created.
        """
        self._allow = allow if isinstance(allow, AllowList) else AllowList.parse(allow)
        self._denied = deny_hosts if isinstance(deny_hosts, AllowList) else AllowList.parse(deny_hosts)
        self._hosts = hosts
        self._spool_dir = _prepared(spool_dir or Path(tempfile.gettempdir()))
        self._types = types
        self._max_bytes = max_bytes
        self._part_bytes = part_bytes
        self._total_timeout_s = total_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._system_resolver = SystemResolver()
        self._network = GuardedBackend(
            resolve=resolve or self._system_resolver,
            allow=self._allow,
            nat64_prefixes=nat64_prefixes,
            unnamed=unnamed_ssl_context,
        )
        # Unlimited: callers limit their own work, and a slow host must not take another's connection.
        self._connections = Connections(
            self._network.connect_tcp, ssl_context or httpcore2.default_ssl_context()
        )

    async def fetch(self, url: object, begin: Begin | None = None) -> Fetched | NotFetched:
        """Download *url*, which may be any value that a sender chose. Never raises for what it finds.

        With *begin*, what has parts may be uploaded meanwhile; the caller abandons what was begun.
        """
        hops: list[Target] = []
        found = await self._fetch(url, hops, begin)
        if isinstance(found, NotFetched) and hops and hops[-1].host != hops[0].host:
            return replace(found, led_to=hops[-1].host)
        return found

    async def _fetch(self, url: object, hops: list[Target], begin: Begin | None) -> Fetched | NotFetched:
        """Download *url*, noting in *hops* where it led."""
        try:
            hops.append(self._admit(url))
            return await self._download(hops, begin)
        except NotAcceptable as refusal:
            return refusal.outcome
        except (BlockedUrl, BlockedAddress) as refusal:
            return NotFetched(refusal.code, permanent=True)
        except TimeoutError:
            return NotFetched("timeout", permanent=False)
        except OSError:  # network errors are translated where they arise; this is our own disk
            return NotFetched("spool", permanent=False)

    async def aclose(self) -> None:
        """Release resources. Downloads in progress fail."""
        await self._connections.aclose()
        self._system_resolver.close()

    def _admit(self, url: object) -> Target:
        target = check_url(url, allow=self._allow, hosts=self._hosts)
        if self._denied.matches(target.host, target.port):
            raise BlockedUrl(f"{target.host} is our own host")
        return target

    async def _download(self, hops: list[Target], begin: Begin | None) -> Fetched:
        ends_at = asyncio.get_running_loop().time() + self._total_timeout_s
        async with Spool(self._spool_dir, part_bytes=self._part_bytes) as spool:
            response = await self._last_response(hops, ends_at)
            try:
                # What is whole is waited for no more; most images are.
                async with asyncio.timeout_at(None if response.is_whole else ends_at):
                    content_type = await self._save(response, spool, begin)
            finally:
                await response.aclose()
            return await spool.keep(content_type)

    async def _last_response(self, hops: list[Target], ends_at: float) -> Response:
        """Follow redirects, each as untrusted as the first URL, to the final response."""
        while True:
            with _blocked_hops(len(hops)):
                response = await self._response(hops[-1], ends_at)
            try:
                url = next_url(response.status, response.headers, hops[-1])
                if url is None:
                    return response
                hops.append(self._follow(url, hops))
            except BaseException:
                await response.aclose()
                raise
            await response.aclose()

    def _follow(self, url: str, hops: Sequence[Target]) -> Target:
        with _blocked_hops(len(hops) + 1):
            target = self._admit(url)
            require_followable(target, hops)
            return target

    async def _response(self, target: Target, ends_at: float) -> Response:
        head_by = asyncio.get_running_loop().time() + HEAD_TIMEOUT_S
        with _network_faults(malformed="framing", cut="connect"):
            async with asyncio.timeout_at(min(head_by, ends_at)):
                return await self._connections.get(target, connect_timeout_s=self._connect_timeout_s)

    async def _save(self, response: Response, spool: Spool, begin: Begin | None) -> str:
        """Write the body to *spool* once its first bytes have shown its type; return that.

        It is refused if it exceeds the limit, or does not have the announced length.
        """
        length = declared_length(
            response.status,
            response.headers,
            max_bytes=self._max_bytes,
            now=datetime.now(UTC),
            said=await _said(response) if response.status >= HTTPStatus.BAD_REQUEST else b"",
        )
        size, head, content_type = 0, b"", ""
        while part := await _part(response):
            size += len(part)
            if size > self._max_bytes:
                raise NotAcceptable("too_large")
            if content_type:
                await spool.write(part)
                continue
            head += part
            if len(head) >= HEAD_BYTES:
                content_type = self._content_type(head)
                if begin and self._part_bytes and length and length > self._part_bytes:
                    spool.early = begin(Fetched(None, length, "", content_type))
                await spool.write(head)
        if length is not None and size != length:
            raise NotAcceptable("truncated")
        if not content_type:
            content_type = self._content_type(head)
            await spool.write(head)
        return content_type

    def _content_type(self, head: bytes) -> str:
        content_type = sniff(head[:HEAD_BYTES])
        if content_type is None or content_type not in self._types:
            raise NotAcceptable("wrong_type" if head else "empty", said=head)
        return content_type


def _prepared(spool_dir: Path) -> Path:
    spool_dir.mkdir(parents=True, exist_ok=True)
    remove_stale(spool_dir)
    return spool_dir


async def _said(response: Response) -> bytes:
    """Return how the body of a refusal begins, as far as it arrives soon: it must not delay a download."""
    said = bytearray()
    with suppress(TimeoutError, NotAcceptable):
        async with asyncio.timeout(SAID_TIMEOUT_S):
            while len(said) < MAX_SAID_BYTES and (part := await _part(response)):
                said += part
    return bytes(said[:MAX_SAID_BYTES])


async def _part(response: Response) -> bytes:
    with _network_faults(malformed="truncated", cut="truncated"):
        return await response.part()


@contextmanager
def _blocked_hops(count: int) -> Iterator[None]:
    """Report a gate's refusal as `redirect_blocked`, unless it is about the first of the hops."""
    try:
        yield
    except (BlockedUrl, BlockedAddress) as error:
        if count == 1:
            raise
        raise NotAcceptable("redirect_blocked") from error


@contextmanager
def _network_faults(*, malformed: str, cut: str) -> Iterator[None]:
    """Translate network errors; *malformed* and *cut* are the codes for those two faults."""
    try:
        yield
    except NameNotResolved as error:
        raise NotAcceptable("dns") from error
    except httpcore2.TimeoutException as error:
        raise NotAcceptable("timeout") from error
    except httpcore2.ConnectError as error:
        raise NotAcceptable("tls" if _is_caused_by(error, ssl.SSLError) else "connect") from error
    except Malformed as error:
        raise NotAcceptable(malformed) from error
    except (HungUp, httpcore2.NetworkError) as error:
        raise NotAcceptable(cut) from error


def _is_caused_by(error: Exception, kind: type[Exception]) -> bool:
    return bool(error.args) and isinstance(error.args[0], kind)
