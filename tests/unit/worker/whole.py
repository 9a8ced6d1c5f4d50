"""A whole worker, on a store in a file."""

import random
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from receiver.assets import NotFetched
from receiver.assets.kept import KeptDownloads
from receiver.store import Store
from receiver.worker.breaker import Breaker
from receiver.worker.bucket_gates import BucketGates
from receiver.worker.forwarding import Outlet
from receiver.worker.gate import GATE_RULES
from receiver.worker.host_gates import HostGates
from receiver.worker.mirroring import Mirror
from receiver.worker.run import Worker
from tests.unit.work import MemoryBucket


async def _refuse(_url: object, _begin: object = None) -> NotFetched:
    return NotFetched("connect", permanent=False)


def worker_on(store: Store, mirror: Mirror, outlets: Sequence[Outlet] = (), **more: Any) -> Worker:
    """Return a worker whose bucket and hosts nobody uses."""
    kept = KeptDownloads(Path(str(store.engine.url.database)).parent / "spool", max_bytes=0)
    breaker = partial(Breaker, GATE_RULES, clock=time.monotonic, chance=random.random)
    buckets = BucketGates(MemoryBucket(), (), breaker)
    hosts = HostGates(_refuse, patience_s=3600, make_breaker=breaker)
    return Worker(store, mirror, outlets, kept, buckets, hosts, **more)
