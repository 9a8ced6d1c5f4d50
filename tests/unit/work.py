"""Claimed work as the store hands it out, for tests of those who do it."""

from dataclasses import dataclass, field
from typing import Final

from receiver.assets import Early, Fetched, Held, Stored
from receiver.events import Asset
from receiver.store.jobs import DeliveryJob, EventJob, LateJob
from tests.acceptance.service import completed

NOW: Final = 1_736_424_015_250
URL: Final = "https://cdn.example.com/a.png?sig=x"
BODY: Final = completed("gen_1", URL)


def event_job(*, body: bytes = BODY, attempts: int = 1, host: str | None = "cdn.example.com") -> EventJob:
    """Return a claimed event that was received at `NOW`."""
    return EventJob("event-1", "photoverse", "gen_1", host, body, NOW, attempts, "lease-1")


def late_job(*, attempts: int = 1, until_ms: int = NOW + 3_600_000) -> LateJob:
    """Return a claimed event that went out without its asset."""
    return LateJob(
        id="event-1",
        source="photoverse",
        generation_id="gen_1",
        asset_host="cdn.example.com",
        body=BODY,
        received_ms=NOW,
        attempts=attempts,
        lease="lease-1",
        until_ms=until_ms,
    )


def delivery_job(
    event_id: str = "event-1",
    *,
    asset: Asset | None = None,
    attempts: int = 1,
    body: bytes = BODY,
    lease: str = "lease-1",
) -> DeliveryJob:
    """Return a claimed delivery to the destination `orders`."""
    return DeliveryJob(event_id, "orders", "photoverse", "gen_1", body, NOW, asset, attempts, lease)


@dataclass
class MemoryBucket:
    """A bucket that remembers, or fails with *error*."""

    error: Exception | None = None
    kept: dict[str, tuple[Fetched, dict[str, str]]] = field(default_factory=dict)
    conflict: bool = False
    """Whether every key is taken."""
    early: Early | None = None
    """What it begins, if it begins anything."""
    begun: list[tuple[str, Fetched, dict[str, str]]] = field(default_factory=list)

    async def put(self, key: str, asset: Fetched, *, metadata: dict[str, str]) -> Stored:
        if self.error:
            raise self.error
        self.kept[key] = asset, metadata
        return Stored(f"memory:{key}", conflict=self.conflict)

    def begin(self, key: str, coming: Fetched, *, metadata: dict[str, str]) -> Early | None:
        self.begun.append((key, coming, metadata))
        return self.early

    def key_of(self, url: str) -> str | None:
        return url.removeprefix("memory:") if url.startswith("memory:") else None

    async def part(self, key: str, start: int, size: int) -> bytes | None:
        if key not in self.kept:
            return None
        with self.kept[key][0].open() as file:
            return file.read()[start : start + size]

    async def look(self, key: str) -> Held | None:
        if self.error:
            raise self.error
        return Held(self.kept[key][0].size_bytes, None) if key in self.kept else None

    async def read(self, key: str) -> Held | None:
        held = await self.look(key)
        return held and Held(held.size_bytes, self.kept[key][0].sha256)

    async def remove(self, key: str) -> None:
        self.kept.pop(key, None)

    async def check(self) -> None:
        if self.error:
            raise self.error

    async def aclose(self) -> None:
        """Do nothing."""
