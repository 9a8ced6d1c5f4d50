"""An asset host that costs little: `python -m tests.benchmark.asset_host BYTES` prints its port.

It gives the same picture under every path, over connections that are kept unless the client asks otherwise.
"""

import asyncio
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvloop

_BLOCK_BYTES: Final = 256 * 1024


@contextmanager
def serving(size_bytes: int) -> Iterator[str]:
    """Run a host of pictures of *size_bytes* in a process of its own; return its URL."""
    program = [sys.executable, "-m", "tests.benchmark.asset_host", str(size_bytes)]
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


async def _serve(size_bytes: int) -> None:
    head = _head()
    filler = random.Random(5).randbytes(min(_BLOCK_BYTES, size_bytes - len(head)))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            keep = True
            while keep:
                request = await reader.readuntil(b"\r\n\r\n")
                keep = b"connection: close" not in request.lower()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size_bytes, head))
                left = size_bytes - len(head)
                while left:
                    writer.write(filler[:left])
                    left -= min(left, len(filler))
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
