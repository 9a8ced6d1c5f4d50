"""An asset host that costs little: `python -m tests.benchmark.asset_host BYTES [MIB_PER_S]` prints its port.

It gives the same picture under every path, over connections that are kept unless the client asks otherwise.
"""

import asyncio
import random
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Final

import uvloop

_BLOCK_BYTES: Final = 256 * 1024


@contextmanager
def serving(size_bytes: int, *, mib_per_s: float = inf) -> Iterator[str]:
    """Run a host of pictures of *size_bytes* in a process of its own; return its URL."""
    program = [sys.executable, "-m", "tests.benchmark.asset_host", str(size_bytes), str(mib_per_s)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _head() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1024, 768, 8, 2, 0, 0, 0))


async def _serve(size_bytes: int, bytes_per_s: float) -> None:
    head = _head()
    filler = random.Random(5).randbytes(min(_BLOCK_BYTES, size_bytes - len(head)))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            keep = True
            while keep:
                request = await reader.readuntil(b"\r\n\r\n")
                keep = b"connection: close" not in request.lower()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size_bytes, head))
                left, began = size_bytes - len(head), time.perf_counter()
                while left:
                    writer.write(filler[:left])
                    left -= min(left, len(filler))
                    await writer.drain()
                    due = began + (size_bytes - left) / bytes_per_s
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2]) * 1024**2))
