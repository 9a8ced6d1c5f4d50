"""Requests that were refused: counted, logged once in a while, and remembered by who sent them."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple

import structlog

from receiver.telemetry import metrics
from receiver.telemetry.sampling import EVERY_S, Sampler

Network = IPv4Network | IPv6Network

MINUTES: Final = 10
"""For so long an address is remembered."""
_MOST_ADDRESSES: Final = 1024
"""Addresses remembered of one minute; beyond that, those refused least are forgotten."""
_MOST_HOPS_BYTES: Final = 512
"""The end of X-Forwarded-For that is read: ten trusted proxies in a row."""
_IPV6_PREFIX: Final = 64

log = structlog.get_logger()

# Looked up once for each word: looking up costs more than counting.
_refused: Final = cache(metrics.REFUSED.labels)
_faults: Final = cache(metrics.SIGNATURE_FAULTS.labels)

# From 0 on: an alarm sees no increase of what appears as 1.
_refused("store_unavailable")


class Refused(NamedTuple):
    """How often one address was refused of late."""

    address: str
    """An IPv4 address, or the /64 network of an IPv6 one, which is what one customer of a provider has."""
    requests: int


class Refusals:
    """Every refusal of one process. *trusted* are the networks of proxies whose X-Forwarded-For holds."""

    def __init__(
        self, *, trusted: Sequence[Network] = (), monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._trusted = tuple(trusted)
        self._monotonic = monotonic
        self._sampler = Sampler(EVERY_S, monotonic)
        self._minutes: deque[tuple[int, dict[str, int]]] = deque(maxlen=MINUTES)

    def note(
        self, reason: str, peer: str, forwarded_for: Sequence[bytes] = (), *, source: str | None = None
    ) -> None:
        """Note that a request of *peer* was refused; with *source*, because it was not genuine.

        Args:
            reason: one of a fixed set of words.
            peer: the address of the peer.
            forwarded_for: the values of X-Forwarded-For, in their order.
            source: name of the source that the request was for, where its signature is at fault.
        """
        client = self._client(peer, forwarded_for)
        self._count(client)
        if source is None:
            _refused(reason).inc()
        else:
            _faults(source, reason).inc()
        held_back = self._sampler.admit(reason)
        if held_back is not None:
            fact = "refused" if source is None else "not genuine"
            more = {} if source is None else {"source": source}
            log.warning(fact, reason=reason, client=client, held_back=held_back, **more)

    def note_unavailable(self, error: str) -> None:
        """Note that a genuine delivery could not be recorded; that is no fault of its sender."""
        _refused("store_unavailable").inc()
        held_back = self._sampler.admit("store_unavailable")
        if held_back is not None:
            log.warning("store unavailable", reason="store_unavailable", error=error, held_back=held_back)

    def most(self, limit: int) -> list[Refused]:
        """Return the most refused addresses of the last ten minutes, most first."""
        since = self._minute() - MINUTES
        totals: dict[str, int] = {}
        for minute, counts in self._minutes:
            if minute > since:
                for address, count in counts.items():
                    totals[address] = totals.get(address, 0) + count
        ranked = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
        return [Refused(address, count) for address, count in ranked[:limit]]

    def _client(self, peer: str, forwarded_for: Sequence[bytes]) -> str:
        # What is remembered of finding it out is bounded: the header may have 16 KiB, and differ each time.
        hops = b",".join(forwarded_for)[-_MOST_HOPS_BYTES:] if self._trusted else b""
        return client_address(peer, (hops,), self._trusted)

    def _count(self, client: str) -> None:
        minute = self._minute()
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, {}))
        counts = self._minutes[-1][1]
        counts[client] = counts.get(client, 0) + 1
        if len(counts) > _MOST_ADDRESSES:
            kept = sorted(counts.items(), key=lambda item: -item[1])[: _MOST_ADDRESSES // 2]
            self._minutes[-1] = (minute, dict(kept))

    def _minute(self) -> int:
        return int(self._monotonic()) // 60


@lru_cache(maxsize=4096)
def client_address(peer: str, forwarded_for: tuple[bytes, ...], trusted: tuple[Network, ...]) -> str:
    """Return who sent a request: *peer*, or the last address that no trusted proxy reported of itself.

    Read from the right, because everything left of the first untrusted address may be made up.
    Source: https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For
    """
    hops = [*b",".join(forwarded_for).split(b","), peer.encode()]
    client = peer
    for hop in reversed(hops):
        address = _address(hop)
        if address is None:
            break
        client = str(address)
        if not any(address in network for network in trusted):
            break
    return _customer(client)


def _address(hop: bytes) -> IPv4Address | IPv6Address | None:
    """Read `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`; None for anything else."""
    text = hop.strip().decode("ascii", "replace")[:64]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _customer(client: str) -> str:
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address) and not address.is_loopback:
        return str(IPv6Network((address, _IPV6_PREFIX), strict=False))
    return client
