"""One bucket for all sources, or separate ones for some."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from receiver.assets import Early, Fetched, ReadableBucket, Stored
from receiver.errors import BucketUnavailable, ConfigError


@dataclass(frozen=True, slots=True)
class BucketsBySource:
    """A `Bucket` that stores each asset in its source's bucket."""

    default: ReadableBucket
    own: Mapping[str, ReadableBucket] = field(default_factory=dict)
    """Buckets by source name; other sources use *default*."""

    async def put(self, key: str, asset: Fetched, *, metadata: dict[str, str]) -> Stored:
        """Keep *asset* in the bucket of the source that *metadata* names."""
        bucket = self.own.get(metadata["source"], self.default)
        return await bucket.put(key, asset, metadata=metadata)

    def begin(self, key: str, coming: Fetched, *, metadata: dict[str, str]) -> Early | None:
        """Begin to upload what is *coming* to the bucket of the source that *metadata* names."""
        bucket = self.own.get(metadata["source"], self.default)
        return bucket.begin(key, coming, metadata=metadata)

    async def check(self) -> None:
        """Raise if any of them cannot be written. One that does not answer hides no mistake in another."""
        silent = await _silence(self.default)
        for source, bucket in self.own.items():
            try:
                silent = await _silence(bucket) or silent
            except ConfigError as error:
                raise own_mistake(source, error) from error
        if silent:
            raise silent

    async def aclose(self) -> None:
        """Let go of all connections."""
        await asyncio.gather(*(bucket.aclose() for bucket in [self.default, *self.own.values()]))

    def holding(self, url: str) -> tuple[ReadableBucket, str] | None:
        """Return the bucket of a `Stored.url`, and its key there; None if it is in none of them."""
        keys = ((bucket, bucket.key_of(url)) for bucket in (*self.own.values(), self.default))
        return next(((bucket, key) for bucket, key in keys if key is not None), None)


def own_mistake(source: str, error: ConfigError) -> ConfigError:
    """Return *error*, naming the variable that gave *source* a bucket if its address is at fault."""
    owner = ("sources", source) if error.setting == ("assets_url",) else ()
    return ConfigError(error.problem, *owner, *error.setting)


async def _silence(bucket: ReadableBucket) -> BucketUnavailable | None:
    try:
        await bucket.check()
    except BucketUnavailable as error:
        return error
    return None
