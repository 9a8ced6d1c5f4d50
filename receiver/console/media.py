"""Serves mirrored assets from their bucket to the browser: only types that cannot run anything."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from receiver.admin.parameters import path_text
from receiver.assets import ReadableBucket
from receiver.assets.media import HEAD_BYTES, sniff
from receiver.console.pages import Group, get
from receiver.errors import BucketUnavailable
from receiver.store.filters import Filter
from receiver.store.search import find_events

SHOWN: Final = frozenset(
    (
        *("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp"),
        *("video/mp4", "video/webm", "video/ogg", "video/quicktime"),
        *("audio/mpeg", "audio/mp4", "audio/wav", "audio/flac", "audio/ogg"),
    )
)
"""Types that browsers show or play, and that cannot contain scripts."""
_PART_BYTES: Final = 1024 * 1024
_RANGE: Final = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")


class Media(Group):
    """The one route that serves content from strangers."""

    @get("/assets/{id}")
    async def asset(self, request: Request) -> Response:
        """Serve an event's mirrored asset, or the requested range of it."""
        page = await self._parts.store.transact(find_events, Filter(ids=(path_text(request, "id"),)))
        asset = page.rows[0].asset if page.rows else None
        if asset is None or asset.status != "mirrored":
            raise HTTPException(404)
        held = self._parts.buckets.holding(asset.url or "")
        if held is None:
            raise HTTPException(404)
        try:
            return await _served(request, *held)
        except BucketUnavailable as error:
            raise HTTPException(503, "The bucket does not answer.") from error


async def _served(request: Request, bucket: ReadableBucket, key: str) -> Response:
    # Judge what is there now, not what was there when it was mirrored.
    found = await bucket.look(key)
    if found is None or not found.size_bytes:
        raise HTTPException(404)
    file = _File(bucket, key)
    content_type = sniff(await file.read(0, HEAD_BYTES - 1))
    if content_type not in SHOWN:
        raise HTTPException(404)
    size = found.size_bytes
    first, last, is_part = _range(request.headers.get("range"), size)
    headers = {
        "Content-Length": str(last - first + 1),
        "Accept-Ranges": "bytes",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, max-age=300",
    }
    if is_part:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    status = 206 if is_part else 200
    if request.method == "HEAD":
        return Response(None, status, headers, content_type)
    chunks = file.go_on(await file.read(first, last), first, last)
    return StreamingResponse(chunks, status, headers, content_type)


def _range(wanted: str | None, size: int) -> tuple[int, int, bool]:
    """Return the first and last byte to send; an unusable range means the whole file."""
    match = _RANGE.fullmatch(wanted or "")
    if not match or int(match[1]) >= size:
        return 0, size - 1, False
    first = int(match[1])
    last = min(int(match[2]) if match[2] else size - 1, size - 1)
    return (first, last, True) if last >= first else (0, size - 1, False)


@dataclass(frozen=True, slots=True)
class _File:
    bucket: ReadableBucket
    key: str

    async def read(self, first: int, last: int) -> bytes:
        """Return at least one byte from *first* on, and none after *last*.

        Raises:
            BucketUnavailable: the bucket failed, or has no such bytes any more.
        """
        found = await self.bucket.part(self.key, first, min(last - first + 1, _PART_BYTES))
        if not found:
            raise BucketUnavailable("the asset is shorter than it was")
        return found

    async def go_on(self, chunk: bytes, first: int, last: int) -> AsyncIterator[bytes]:
        """Yield *chunk*, which starts at *first*, and what follows up to *last*."""
        yield chunk
        while (first := first + len(chunk)) <= last:
            chunk = await self.read(first, last)
            yield chunk
