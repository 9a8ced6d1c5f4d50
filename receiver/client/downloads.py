"""Keeping an asset on disk: whole under its final name, or not at all."""

import re
import secrets
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import urljoin, urlsplit

from receiver.client.decisions import Again, Attempt, Done, Moved, Refused, backoff_s
from receiver.client.errors import DownloadFailed
from receiver.client.pacing import retry_after_of
from receiver.client.parameters import is_loopback
from receiver.client.results import Generation
from receiver.client.wire import Answer, Lost, Reply, Unsent

MAX_DOWNLOAD_BYTES: Final = 1024 * 1024 * 1024
_EXTENSIONS: Final = {
    "image/webp": ".webp",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "video/quicktime": ".mov",
}
_ODD_IN_A_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({408, 425, 429})


class Partial:
    """A download in progress: a temporary file beside its destination."""

    def __init__(self, generation: Generation, dest: Path, *, max_bytes: int) -> None:
        self._id = generation.id
        self._dest = dest
        self._max_bytes = max_bytes
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        folder = self._dest if self._dest.is_dir() else self._dest.parent
        self._file = (folder / f".{secrets.token_hex(8)}.part").open("xb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Keep *chunk*.

        Raises:
            DownloadFailed: the file would grow beyond its limit.
        """
        assert self._file is not None
        if self._file.tell() + len(chunk) > self._max_bytes:
            raise DownloadFailed(f"{self._id}: the file is larger than {self._max_bytes} bytes")
        self._file.write(chunk)

    def restart(self) -> None:
        """Forget what an earlier attempt left."""
        assert self._file is not None
        self._file.seek(0)
        self._file.truncate()

    def keep(self, content_type: str) -> Path:
        """Give the file its final name, over whatever had it, and return that."""
        assert self._file is not None
        self._file.close()
        path = self._dest
        if path.is_dir():
            kind = content_type.partition(";")[0].strip().lower()
            path /= _ODD_IN_A_FILE_NAME.sub("_", self._id) + _EXTENSIONS.get(kind, "")
        return Path(self._file.name).replace(path)


def asset_url(generation: Generation, base_url: str) -> str:
    """Return where the file is.

    Raises:
        DownloadFailed: there is none (yet), or it would travel unprotected.
    """
    if not generation.output_url:
        raise DownloadFailed(f"{generation.id} has no file: it is {generation.status}")
    return _acceptable(base_url + "/", generation.output_url, generation.id)


def decide_download(
    name: str, reply: Reply, attempt: Attempt, *, max_retries: int
) -> Done[str] | Again | Moved | Refused:
    """Decide what *reply* to this *attempt* means. Done carries the content type."""
    last = attempt.number > max_retries
    match reply:
        case Unsent(reason) | Lost(reason):
            return Refused(DownloadFailed(f"{name}: {reason}")) if last else Again(backoff_s(attempt))
        case Answer(status, headers, _):
            if status == HTTPStatus.OK:
                return Done(headers.get("content-type", ""))
            if status in _MOVED and "location" in headers and not last:
                return Moved(_acceptable(attempt.url, headers["location"], name))
            if not last and (status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR):
                return Again(backoff_s(attempt, retry_after_of(headers, attempt.sent_at)))
            return Refused(DownloadFailed(f"{name}: the asset host answered {status}"))


def _acceptable(base: str, written: str, name: str) -> str:
    try:
        url = urljoin(base, written)
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise DownloadFailed(f"{name}: the asset's URL cannot be read") from None
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise DownloadFailed(f"{name}: the asset's URL is not https")
    return url
