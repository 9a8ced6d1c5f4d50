"""The asset host: files at signed URLs, made when first requested."""

import asyncio
import hmac
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from receiver.sandbox.clock import Clock
from receiver.sandbox.dialect import Dialect
from receiver.sandbox.drawing import draw_image, draw_video
from receiver.sandbox.server import CutShort
from receiver.sandbox.state import Generation, Job, State

CONTENT_TYPES: Final = {
    "webp": "image/webp",
    "png": "image/png",
    "jpg": "image/jpeg",
    "mp4": "video/mp4",
}
_KEPT_FILES: Final = 256
_CHUNKS: Final = 10


class Assets:
    """Makes, caches and serves the files."""

    def __init__(self, state: State, clock: Clock, dialect: Dialect) -> None:
        self._state = state
        self._clock = clock
        self._dialect = dialect
        self._key = state.token(32).encode()
        self._files: OrderedDict[str, asyncio.Task[bytes]] = OrderedDict()

    def url(self, generation: Generation) -> str:
        """Return the URL for the file of *generation*, valid from now on for the life of a link."""
        name = f"{generation.id}.{_extension(generation.job)}"
        ttl_s = self._state.knobs.asset_ttl_s
        expires = "" if ttl_s is None else str(int(self._clock.now() + ttl_s))
        link = f"{generation.origin}/assets/{name}?X-Signature={self._signature(name, expires)}"
        return f"{link}&X-Expires={expires}" if expires else link

    def refresh(self, generation: Generation) -> None:
        """Give *generation* a new link if links expire."""
        if self._state.knobs.asset_ttl_s is not None and generation.status == "completed":
            generation.output_url = self.url(generation)

    async def serve(self, request: Request) -> Response:
        """Handle `GET /assets/{name}` as an asset host does: no API key, no error envelope."""
        name = request.path_params["name"]
        given, expires = (request.query_params.get(field, "") for field in ("X-Signature", "X-Expires"))
        if not hmac.compare_digest(given.encode(), self._signature(name, expires).encode()):
            return PlainTextResponse("Forbidden", HTTPStatus.FORBIDDEN)
        if expires and int(expires) <= self._clock.now():
            return PlainTextResponse("Expired", self._dialect.expired_link_status)
        generation = self._state.generations.get(name.partition(".")[0])
        if generation is None or generation.status != "completed":
            return PlainTextResponse("Not Found", HTTPStatus.NOT_FOUND)
        await self._clock.sleep(self._state.knobs.asset_delay_s)
        if self._state.knobs.asset_fault == "redirect" and "moved" not in request.query_params:
            return RedirectResponse(f"{request.url}&moved=1", HTTPStatus.FOUND)
        knobs = self._state.knobs
        task = self._files.get(generation.id)
        if task is None:
            task = self._files[generation.id] = asyncio.create_task(asyncio.to_thread(_draw, generation.job))
            if len(self._files) > _KEPT_FILES:
                self._files.popitem(last=False)
        content = await asyncio.shield(task)
        wrong = knobs.asset_fault == "wrong_type"
        media_type = "text/html" if wrong else CONTENT_TYPES[_extension(generation.job)]
        answer = respond(request, content, media_type)
        if knobs.asset_fault == "cut":
            return CutShort(answer)
        return self._trickling(answer) if knobs.asset_chunk_delay_s else answer

    def _trickling(self, answer: Response) -> Response:
        content = bytes(answer.body)
        size = max(1, -(-len(content) // _CHUNKS))

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(content), size):
                yield content[start : start + size]
                await self._clock.sleep(self._state.knobs.asset_chunk_delay_s)

        return StreamingResponse(chunks(), answer.status_code, dict(answer.headers))

    def _signature(self, name: str, expires: str) -> str:
        return hmac.digest(self._key, f"{name} {expires}".encode(), "sha256").hex()


def _extension(job: Job) -> str:
    return "mp4" if job.type == "video" else job.output_format


def _draw(job: Job) -> bytes:
    if job.type == "video":
        return draw_video(job.prompt, aspect_ratio=job.aspect_ratio, seconds=job.duration)
    return draw_image(job.prompt, aspect_ratio=job.aspect_ratio, output_format=job.output_format)


_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")


def respond(request: Request, content: bytes, media_type: str) -> Response:
    """Return what *request* asks of a file: all of it, one range, or 304."""
    etag = f'"{sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked is None or request.headers.get("if-range", etag) != etag:
        return Response(content, media_type=media_type, headers=headers)
    first, last = _bounds(asked, len(content))
    if first > last:
        outside = {**headers, "Content-Range": f"bytes */{len(content)}"}
        return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=outside)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    return Response(content[first : last + 1], HTTPStatus.PARTIAL_CONTENT, headers, media_type)


def _bounds(asked: re.Match[str], size: int) -> tuple[int, int]:
    start, end, suffix = asked.groups()
    if suffix is not None:
        return (max(0, size - int(suffix)), size - 1) if int(suffix) else (size, 0)
    return int(start), min(int(end), size - 1) if end else size - 1
