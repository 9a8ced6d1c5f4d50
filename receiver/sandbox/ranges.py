"""Serves part of a file, or says that it has not changed (RFC 9110, sections 13 and 14)."""

import re
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")


def answer(request: Request, content: bytes, media_type: str) -> Response:
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
