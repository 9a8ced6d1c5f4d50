"""`python -m tests.unit.assets.mirror_one URL BUCKET ENDPOINT REGION SPOOL`: mirror one asset.

Prints the most memory this process ever had, in bytes, before it began and at the end.
"""

import asyncio
import sys
from pathlib import Path

from receiver.assets import Fetched
from receiver.assets.fetch import Fetcher
from receiver.assets.s3 import open_s3


def _peak() -> int:
    # Not ru_maxrss: a child is told its parent's.
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


async def _mirror(url: str, bucket_url: str, endpoint_url: str, region: str, spool_dir: str) -> None:
    fetcher = Fetcher(allow=["127.0.0.0/8"], spool_dir=Path(spool_dir))
    bucket = open_s3(bucket_url, endpoint_url=endpoint_url, region=region)
    await bucket.check()
    before = _peak()
    fetched = await fetcher.fetch(url)
    assert isinstance(fetched, Fetched), fetched
    await bucket.put("large.png", fetched, metadata={})
    sys.stdout.write(f"{before} {_peak()}\n")
    fetched.discard()
    await bucket.aclose()
    await fetcher.aclose()


if __name__ == "__main__":
    asyncio.run(_mirror(*sys.argv[1:]))
