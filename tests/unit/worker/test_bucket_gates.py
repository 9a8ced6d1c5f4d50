"""Buckets that are left alone while they are away."""

from pathlib import Path

import pytest
import structlog.testing

from receiver.assets import Fetched
from receiver.errors import BucketUnavailable
from receiver.worker.breaker import Breaker
from receiver.worker.bucket_gates import BucketGates
from receiver.worker.gate import GATE_RULES
from tests.unit.work import MemoryBucket

FILE = Fetched(Path("spooled"), 3, "0" * 64, "image/png")


class Clock:
    now = 1000.0

    def breaker(self) -> Breaker:
        return Breaker(GATE_RULES, clock=lambda: self.now, chance=lambda: 0.5)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


@pytest.fixture
def gates(bucket: MemoryBucket, clock: Clock) -> BucketGates:
    return BucketGates(bucket, ["acme"], clock.breaker)


async def put(gates: BucketGates, name: str, *, source: str = "photoverse") -> None:
    await gates.put(name, FILE, metadata={"event-id": name, "source": source})


async def refused(gates: BucketGates, name: str, *, source: str = "photoverse") -> BucketUnavailable:
    with pytest.raises(BucketUnavailable) as caught:
        await put(gates, name, source=source)
    return caught.value


class TestPut:
    async def test_left_alone_while_it_is_down(self, gates: BucketGates, bucket: MemoryBucket) -> None:
        """Each failure says when to come back; once it is known to be away nothing is sent there."""
        bucket.error = BucketUnavailable("down")
        for name in ("a", "b", "c"):
            error = await refused(gates, name)
            assert (str(error), error.parked_s is not None) == ("down", True)
        bucket.error = RuntimeError("not to be asked")
        about = {"event-id": "d", "source": "photoverse"}
        assert gates.begin("d", FILE, metadata=about) is None
        assert not bucket.begun
        assert gates.begin("d", FILE, metadata={**about, "source": "acme"}) is None
        assert len(bucket.begun) == 1
        error = await refused(gates, "d")
        assert (str(error), error.parked_s) == ("down", gates.gate(None).parked_s())

    async def test_back(self, gates: BucketGates, bucket: MemoryBucket, clock: Clock) -> None:
        """One that got through opens it for all; people read of both."""
        bucket.error = BucketUnavailable("down")
        with structlog.testing.capture_logs() as lines:
            for name in ("a", "b", "c"):
                await refused(gates, name)
            bucket.error = None
            clock.now += gates.gate(None).wait_s()
            await put(gates, "a")
            await put(gates, "b")
        assert [(line["event"], line["bucket"]) for line in lines] == [
            ("bucket down", "*"),
            ("bucket back", "*"),
        ]
        assert lines[0]["error"] == "down"

    async def test_each_by_itself(self, gates: BucketGates, bucket: MemoryBucket) -> None:
        """A source with a bucket of its own does not wait for the common one."""
        bucket.error = BucketUnavailable("down")
        for name in ("a", "b", "c"):
            await refused(gates, name)
        bucket.error = None
        await put(gates, "d", source="acme")
        assert gates.gate("photoverse") is gates.gate(None) is not gates.gate("acme")

    async def test_file_that_fails_among_others(self, gates: BucketGates, bucket: MemoryBucket) -> None:
        """What fails again although others got through is not parked: it is put off longer and longer."""
        bucket.error = BucketUnavailable("holds other bytes")
        await refused(gates, "bad")
        bucket.error = None
        await put(gates, "good")
        bucket.error = BucketUnavailable("holds other bytes")
        assert (await refused(gates, "bad")).parked_s is None
