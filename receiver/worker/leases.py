"""Leases: work is ours for a limited time, extended while we say so; then its result is written."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.claim import Claim, release, renew
from receiver.store.jobs import Hold
from receiver.store.settlements import ForwardSettlement, Settlement

RENEWALS_PER_LEASE: Final = 3
PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0)
"""Between attempts to settle. Longer in total than a failover, and shorter than a lease."""
_RECALL_S: Final = 2.0
_RELEASE_S: Final = 5.0
"""A hanging database must not keep a process from exiting."""

log = structlog.get_logger()


class Leases:
    """The leases this worker holds: renewed while it lives, given back when it stops."""

    def __init__(self, store: Store, *, lease_s: float) -> None:
        self._store = store
        self._lease_s = lease_s
        self._lease_ms = int(lease_s * 1000)
        self._held: Counter[str] = Counter()
        self._unfinished: set[str] = set()

    @contextmanager
    def claim(self, limit: int) -> Iterator[Claim]:
        """Provide a claim on up to *limit* pieces of work; its lease is renewed until the block ends."""
        lease = secrets.token_hex(16)
        now = clock.now_ms()
        with self.holding(lease):
            yield Claim(now, now + self._lease_ms, lease, limit)

    @contextmanager
    def holding(self, lease: str) -> Iterator[None]:
        """Renew *lease* within the block. If cancelled, what is left under it is given back at the end."""
        self.hold(lease)
        try:
            yield
        except asyncio.CancelledError:
            self._unfinished.add(lease)
            raise
        finally:
            self.let_go(lease)

    def hold(self, lease: str) -> None:
        """Renew *lease* until it has been released as often as it was held."""
        self._held[lease] += 1

    def let_go(self, lease: str) -> None:
        """Stop renewing *lease*, unless someone else still holds it."""
        self._held[lease] -= 1
        if not self._held[lease]:
            del self._held[lease]

    def leave(self, lease: str) -> None:
        """Give back, at the end, what is left under *lease*."""
        self._unfinished.add(lease)

    def offer(self, spool: str | None = None) -> Hold:
        """Return the lease to write one piece of new work under; it is renewed once held."""
        return Hold(secrets.token_hex(16), clock.now_ms() + self._lease_ms, spool)

    async def settle(self, settlement: Settlement) -> bool:
        """Write *settlement*, retrying for some seconds; if that fails, the work is repeated.

        Returns False if its lease was lost, or if an earlier attempt had written it without our knowing.

        Raises:
            StoreUnavailable: the database fails for longer.
        """
        for pause_s in PAUSES_S:
            try:
                return await self._store.settle(settlement)
            except StoreUnavailable:
                await asyncio.sleep(pause_s)
        return await self._store.settle(settlement)

    async def settle_all(self, results: Sequence[ForwardSettlement]) -> list[StoreUnavailable | None]:
        """Do the same for the results of deliveries; return why each could not be written, or None."""
        errors = await self._store.settle_all(results)
        for pause_s in PAUSES_S:
            left = [number for number, error in enumerate(errors) if error]
            if not left:
                break
            await asyncio.sleep(pause_s)
            again = await self._store.settle_all([results[number] for number in left])
            for number, error in zip(left, again, strict=True):
                errors[number] = error
        return errors

    async def keep(self) -> None:
        """Renew what is held, several times per lease, until cancelled."""
        while True:
            await asyncio.sleep(self._lease_s / RENEWALS_PER_LEASE)
            if self._held:
                try:
                    until_ms = clock.now_ms() + self._lease_ms
                    await self._store.transact_promptly(renew, set(self._held), until_ms=until_ms)
                except StoreUnavailable as error:
                    log.warning("leases not renewed", error=str(error))

    async def recall(self) -> None:
        """Give back work from claims whose answer was lost, as in a failover, until cancelled."""
        while True:
            try:
                await self._store.free_doubtful(pause_s=_RECALL_S)
            except StoreUnavailable:
                continue
            log.info("unanswered claims released")

    async def release_unfinished(self) -> None:
        """Make cancelled work due for other workers now, not when its lease runs out."""
        if self._unfinished:
            try:
                async with asyncio.timeout(_RELEASE_S):
                    await self._store.transact_promptly(release, self._unfinished, now_ms=clock.now_ms())
            except (StoreUnavailable, TimeoutError) as error:
                why = str(error) or f"no answer within {_RELEASE_S:g} s"
                log.warning("unfinished work waits for its leases to expire", error=why)
            else:
                log.warning("unfinished work released", claims=len(self._unfinished))
