"""A gate before each bucket, so that an outage costs seconds, not the pauses of a growing backoff."""

from collections.abc import Callable, Collection
from functools import partial

import structlog

from receiver.assets import Bucket, Early, Fetched, Stored
from receiver.errors import BucketUnavailable
from receiver.outcomes import Retry
from receiver.store.outages import COMMON_BUCKET
from receiver.worker.breaker import Breaker
from receiver.worker.gate import Gate

log = structlog.get_logger()


class BucketGates:
    """A `Bucket` that leaves unavailable buckets alone; the sources in *with_own* have their own."""

    def __init__(
        self, buckets: Bucket, with_own: Collection[str], make_breaker: Callable[[], Breaker]
    ) -> None:
        self._buckets = buckets
        names = (COMMON_BUCKET, *with_own)
        self.gates = {name: Gate(make_breaker(), partial(_tell, name)) for name in names}
        """By source, or `COMMON_BUCKET`."""

    def gate(self, source: str | None) -> Gate:
        """Return the gate of the bucket for *source*."""
        return self.gates.get(source or COMMON_BUCKET, self.gates[COMMON_BUCKET])

    async def put(self, key: str, asset: Fetched, *, metadata: dict[str, str]) -> Stored:
        """Store *asset*, unless the bucket is down.

        Raises:
            BucketUnavailable: it failed, or is being left alone; the error says when to retry.
        """
        gate, event_id = self.gate(metadata["source"]), metadata["event-id"]
        if gate.is_shut:
            raise BucketUnavailable(gate.error, parked_s=gate.parked_s())
        with gate.passing():
            try:
                stored = await self._buckets.put(key, asset, metadata=metadata)
            except BucketUnavailable as error:
                parked_s = gate.failed(event_id, Retry(str(error)))
                raise BucketUnavailable(str(error), parked_s=parked_s) from error
            gate.passed(event_id)
            return stored

    def begin(self, key: str, coming: Fetched, *, metadata: dict[str, str]) -> Early | None:
        """Start uploading *coming*, unless the bucket is down: one probe is enough."""
        is_down = self.gate(metadata["source"]).is_down
        return None if is_down else self._buckets.begin(key, coming, metadata=metadata)


def _tell(name: str, gate: Gate) -> None:
    if gate.is_down:
        log.warning("bucket down", bucket=name, error=gate.error, probe_in_s=round(gate.wait_s(), 1))
    else:
        log.info("bucket back", bucket=name)
