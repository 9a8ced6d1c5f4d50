"""The loop that mirroring is compared with: GET and keep, in threads, and nothing else.

`python -m tests.benchmark.plain_mirror URL COUNT AT_ONCE folder DIR` or `… s3 ENDPOINT BUCKET` prints the
seconds, the CPU seconds and the MiB of memory that it took more than before. A file in a folder is synced,
and so is the folder; it has no digest, no type, no gates, and no database knows of it.
"""

import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import boto3
import urllib3
from botocore.config import Config

_IN_ONE_PUT_BYTES: Final = 8 * 1024 * 1024

Keep = Callable[[str, Any], None]


def into_folder(folder: Path) -> Keep:
    """Return what writes a body to *folder* durably."""
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)

    def keep(name: str, answer: Any) -> None:
        draft = folder / f".{name}"
        with draft.open("wb") as file:
            file.write(answer.read())
            file.flush()
            os.fsync(file.fileno())
        draft.rename(folder / name)
        os.fsync(descriptor)

    return keep


def into_s3(endpoint_url: str, bucket: str, at_once: int) -> Keep:
    """Return what uploads a body as boto3's users do: whole if small, else by its transfer manager."""
    client = boto3.client("s3", endpoint_url=endpoint_url, config=Config(max_pool_connections=at_once))

    def keep(name: str, answer: Any) -> None:
        if int(answer.headers["Content-Length"]) <= _IN_ONE_PUT_BYTES:
            client.put_object(Bucket=bucket, Key=name, Body=answer.read(), ContentType="image/png")
        else:
            client.upload_fileobj(answer, bucket, name)

    return keep


def main(url: str, count: str, at_once: str, kind: str, *where: str) -> None:
    """Mirror that many assets, that many at once."""
    threads = int(at_once)
    keep = into_folder(Path(where[0])) if kind == "folder" else into_s3(where[0], where[1], threads)
    pool = urllib3.PoolManager(maxsize=threads, block=True)

    def mirror(number: int) -> None:
        with pool.request("GET", f"{url}/{number}.png", preload_content=False) as answer:
            keep(f"{number}.png", answer)
            answer.drain_conn()

    mirror(0)  # imports, and a first connection
    before, began, cpu = _peak_kib(), time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(mirror, range(1, int(count) + 1)))
    took, used = time.perf_counter() - began, time.process_time() - cpu
    print(took, used, (_peak_kib() - before) / 1024)


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(*sys.argv[1:])
