"""A store and a folder that agree on some mirrored assets, for tests of those who compare them."""

import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from receiver.assets import Fetched, NotFetched
from receiver.assets.folder import FolderBucket
from receiver.events import Asset, Event, event_id
from receiver.store import Store
from receiver.store.claim import Claim, claim_events
from receiver.store.inventory import KnownAsset, Scope, known_assets
from receiver.store.record import NewEvent
from receiver.store.settlements import EventSettled
from tests.acceptance.service import completed
from tests.servers.assets import PNG
from tests.stored import migrated

OTHER_PNG = PNG + b"another"


@dataclass
class Stock:
    """What a test looks at and breaks."""

    store: Store
    bucket: FolderBucket
    spool: Path
    source: dict[str, bytes | str] = field(default_factory=dict)
    """What the provider still has of each generation: bytes, or the code of a failure."""

    async def add(self, generation_id: str, asset: Asset | None = None) -> str:
        """Settle an event, with its file in the folder unless *asset* says otherwise; return its id."""
        now = int(time.time() * 1000)
        new_id = event_id(now, secrets.token_bytes(10))
        body = completed(generation_id, f"https://cdn.example.com/{generation_id}.png")
        await self.store.record(
            NewEvent(new_id, "photoverse", generation_id, "generation.completed", "cdn", body, "webhook", now)
        )
        (job,) = await self.store.claim(
            claim_events, Claim(now, now + 60_000, new_id[:32], 1), with_asset=True
        )
        settled = asset or await self._mirrored(generation_id)
        assert await self.store.settle(EventSettled(job, settled, now))
        self.source.setdefault(generation_id, PNG)
        return new_id

    def file(self, generation_id: str) -> Path:
        """Return where the file of a generation is kept."""
        return self.bucket.root / key_of(generation_id)

    async def known(self) -> dict[str, KnownAsset]:
        """Return what the store says of each generation."""
        scope = Scope(with_failed=True)
        found = await self.store.transact(known_assets, scope, after="", limit=1000)
        return {known.generation_id: known for known in found}

    async def fetch(self, event: Event) -> Fetched | NotFetched:
        """Give what the source still has."""
        found = self.source[event.generation_id]
        if isinstance(found, str):
            return NotFetched(found, permanent=True)
        return self._fetched(found)

    async def _mirrored(self, generation_id: str) -> Asset:
        fetched = self._fetched(PNG)
        stored = await self.bucket.put(key_of(generation_id), fetched, metadata={})
        fetched.discard()
        return Asset("mirrored", stored.url, "image/png", fetched.size_bytes, fetched.sha256)

    def _fetched(self, data: bytes) -> Fetched:
        path = self.spool / secrets.token_hex(8)
        path.write_bytes(data)
        return Fetched(path, len(data), hashlib.sha256(data).hexdigest(), "image/png")


def key_of(generation_id: str) -> str:
    """Return the key that the file of a generation has."""
    return f"photoverse/image/2025/01/09/{generation_id}.png"


@pytest.fixture
async def stock(tmp_path: Path) -> AsyncIterator[Stock]:
    store = Store(migrated(tmp_path / "receiver.db"), destinations=("orders",))
    (tmp_path / "spool").mkdir()
    yield Stock(store, FolderBucket(tmp_path / "assets"), tmp_path / "spool")
    store.close()
