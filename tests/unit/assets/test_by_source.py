"""A bucket of its own for some sources."""

import pytest

from receiver.assets import Bucket, Stored
from receiver.assets.by_source import BucketsBySource
from receiver.errors import BucketUnavailable, ConfigError
from tests.unit.assets.test_object_keys import ASSET
from tests.unit.work import MemoryBucket


class TestBucketsBySource:
    async def test_each_source_has_its_bucket(self) -> None:
        """An asset goes to the bucket of its source, and to the common one where the source has none."""
        default, own = MemoryBucket(), MemoryBucket()
        buckets: Bucket = BucketsBySource(default, {"acme": own})
        for source in ("acme", "photoverse"):
            stored = await buckets.put(f"{source}.png", ASSET, metadata={"source": source})
            assert stored == Stored(f"memory:{source}.png")
            assert buckets.begin(f"{source}.mp4", ASSET, metadata={"source": source}) is None
        assert (list(own.kept), list(default.kept)) == (["acme.png"], ["photoverse.png"])
        assert ([key for key, *_ in own.begun], [key for key, *_ in default.begun]) == (
            ["acme.mp4"],
            ["photoverse.mp4"],
        )

    async def test_a_url_leads_back_to_its_bucket(self) -> None:
        """A file is looked for where it is, also if that is the common bucket; other URLs are nowhere."""

        class Named(MemoryBucket):
            def key_of(self, url: str) -> str | None:
                return url.partition(":")[2] if url.startswith(f"{self.name}:") else None

            name = "common"

        default, own = Named(), Named()
        own.name = "own"
        buckets = BucketsBySource(default, {"acme": own})
        assert buckets.holding("common:a.png") == (default, "a.png")
        assert buckets.holding("own:a.png") == (own, "a.png")
        assert buckets.holding("elsewhere:a.png") is None

    @pytest.mark.parametrize("broken", [0, 1])
    async def test_all_are_checked(self, broken: int) -> None:
        """The start finds out about each of them."""
        buckets = [MemoryBucket(), MemoryBucket()]
        buckets[broken].error = BucketUnavailable("no answer")
        with pytest.raises(BucketUnavailable):
            await BucketsBySource(buckets[0], {"acme": buckets[1]}).check()

    async def test_mistake_is_named_by_its_source(self) -> None:
        """A source's own bucket is refused by its own variable, also while the common one does not answer."""
        silent, wrong = MemoryBucket(), MemoryBucket()
        silent.error = BucketUnavailable("no answer")
        wrong.error = ConfigError("no such bucket", "assets_url")
        with pytest.raises(ConfigError, match=r"^RECEIVER_SOURCES__ACME__ASSETS_URL: no such bucket"):
            await BucketsBySource(silent, {"acme": wrong, "other": MemoryBucket()}).check()

    async def test_other_settings_keep_their_name(self) -> None:
        """A mistake in what all buckets share is not blamed on the source."""
        wrong = MemoryBucket()
        wrong.error = ConfigError("refused, not RECEIVER_ASSETS_URL", "s3_tags")
        with pytest.raises(ConfigError, match=r"^RECEIVER_S3_TAGS: refused, not RECEIVER_ASSETS_URL"):
            await BucketsBySource(MemoryBucket(), {"acme": wrong}).check()

    async def test_all_are_closed(self) -> None:
        """None keeps its connections."""
        closed: list[MemoryBucket] = []

        class Closing(MemoryBucket):
            async def aclose(self) -> None:
                closed.append(self)

        await BucketsBySource(Closing(), {"acme": Closing(), "other": Closing()}).aclose()
        assert len(closed) == 3
