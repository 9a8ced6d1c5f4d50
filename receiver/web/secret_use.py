"""Which signing secrets are used: recorded from existing counters, so that no delivery waits for it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from receiver import clock
from receiver.errors import StoreUnavailable
from receiver.store import Store
from receiver.store.notices import note_secrets
from receiver.telemetry import metrics

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SecretUse:
    """Records for each source which of its secrets were used lately."""

    store: Store
    sources: Mapping[str, Sequence[str]]
    """The fingerprints of each source's secrets, in their order."""
    every_s: float

    async def run(self) -> None:
        """Record it until cancelled. If the store fails, try again later."""
        noted: dict[tuple[str, str], float] = {}
        while True:
            counted = _counted()
            used = {
                (source, mark): counted.get((source, str(place)), 0) > noted.get((source, str(place)), 0)
                for source, marks in self.sources.items()
                for place, mark in enumerate(marks, start=1)
            }
            try:
                await self.store.transact_promptly(note_secrets, used, now_ms=clock.now_ms())
                noted = counted
            except StoreUnavailable as error:
                log.warning("use of secrets not recorded", error=str(error))
            await asyncio.sleep(self.every_s)


def _counted() -> dict[tuple[str, str], float]:
    """Return how many deliveries each secret verified, by source and position in the source's list."""
    counted: dict[tuple[str, str], float] = {}
    for metric in metrics.VERIFIED.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total"):
                key = sample.labels["source"], sample.labels["secret"]
                counted[key] = counted.get(key, 0) + sample.value
    return counted
