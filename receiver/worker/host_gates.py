"""A gate before each asset host, so that everything waiting for a host uses it as soon as it recovers."""

import re
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

import structlog

from receiver.assets import Begin, Fetched, NotFetched
from receiver.assets.guard import asset_host
from receiver.outcomes import Retry
from receiver.worker.breaker import Breaker
from receiver.worker.gate import Gate

Value = TypeVar("Value")
Fetch = Callable[[object, Begin | None], Awaitable[Fetched | NotFetched]]

_MOST: Final = 1_000
"""The most hosts remembered, because senders choose the names."""
_AWAY: Final = re.compile("dns|connect|tls|timeout|http_429|http_5..")
"""Codes that point to the host and not to the file."""
_OURS: Final = frozenset(("spool", "blocked_url", "blocked_address"))
"""Codes that say nothing about the host."""

log = structlog.get_logger()


class HostGates:
    """Downloads with *fetch*, and leaves hosts alone while they are down."""

    def __init__(self, fetch: Fetch, *, patience_s: float, make_breaker: Callable[[], Breaker]) -> None:
        """*patience_s* is how long an event waits; then it is settled, whether or not the host is up."""
        self._fetch = fetch
        self._make_breaker = make_breaker
        self.gates: dict[str, Gate] = {}
        """By host."""
        self._led: dict[str, str] = {}
        """URLs redirected to a host that failed, and that host."""
        self._patience_s = patience_s

    async def fetch(self, url: object, begin: Begin | None = None) -> Fetched | NotFetched:
        """Download *url*, or return at once why its host is left alone, and for how long."""
        host = asset_host(url)
        if host is None:
            return await self._fetch(url, begin)
        name = str(url)
        gates = [self._gate(each) for each in (host, self._led.get(name)) if each]
        for gate in gates:
            if gate.is_shut:
                return NotFetched(gate.error, permanent=False, parked_s=gate.parked_s())
        with ExitStack() as stack:
            for gate in gates:
                stack.enter_context(gate.passing())
            return self._judged(gates, name, await self._fetch(url, begin))

    def _judged(self, gates: list[Gate], name: str, fetched: Fetched | NotFetched) -> Fetched | NotFetched:
        """Judge the host where the download ended; the one that redirected there works."""
        if isinstance(fetched, Fetched):
            self._led.pop(name, None)
            for gate in gates:
                gate.passed(name)
            return fetched
        if fetched.led_to is None:
            return _judged(gates[0], name, fetched)
        gates[0].passed(name)
        _remember(self._led, name, fetched.led_to)
        return _judged(self._gate(fetched.led_to), name, fetched)

    def shut(self) -> list[str]:
        """Return the hosts from which nothing should be claimed now."""
        return [host for host, gate in self.gates.items() if gate.is_shut]

    def is_shut(self, host: str) -> bool:
        """Whether nothing from *host* should be claimed now."""
        return host in self.gates and self.gates[host].is_shut

    def wait_s(self) -> float | None:
        """Return the seconds until one of the shut hosts may be tried."""
        return min((wait_s for gate in self.gates.values() if (wait_s := gate.wait_s()) > 0), default=None)

    def overdue_ms(self) -> int:
        """Return the latest time of receipt of events that have waited too long."""
        return int((time.time() - self._patience_s) * 1000)

    def _gate(self, host: str) -> Gate:
        if host not in self.gates:
            _remember(self.gates, host, Gate(self._make_breaker(), partial(_tell, host)))
        return self.gates[host]


def _remember(known: dict[str, Value], name: str, value: Value) -> None:
    """Remember *value*, and forget the oldest if there are too many."""
    while len(known) >= _MOST and name not in known:
        del known[next(iter(known))]
    known[name] = value


def _tell(host: str, gate: Gate) -> None:
    if gate.is_down:
        log.warning("asset host down", host=host, error=gate.error, probe_in_s=round(gate.wait_s(), 1))
    else:
        log.info("asset host back", host=host)


def _judged(gate: Gate, name: str, fetched: NotFetched) -> NotFetched:
    if _AWAY.fullmatch(fetched.code):
        return replace(fetched, parked_s=gate.failed(name, Retry(fetched.code, fetched.after_s)))
    if fetched.code not in _OURS:
        gate.passed(name)
    return fetched
