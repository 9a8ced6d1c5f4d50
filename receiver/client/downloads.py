"""Storing an asset on disk: complete under its final name, or not at all."""

import filecmp
import os
import re
import secrets
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import urljoin, urlsplit

from receiver.client.decisions import Again, Attempt, Done, Moved, Refused, backoff_s
from receiver.client.errors import DownloadFailed
from receiver.client.parameters import is_loopback
from receiver.client.rate_headers import retry_after_of
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
_LONGEST_NAME: Final = 128
_ODD_IN_A_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({202, 204, 403, 404, 408, 409, 423, 425, 429})
"""Some hosts publish a file only seconds after the provider names it. Until then, they may answer
anything."""
_FRAMED: Final = frozenset({"content-length", "transfer-encoding"})
"""Either of them marks the end of a body, so truncation is noticed."""
_PAGE: Final = re.compile(rb"\s*<(?:!doctype html|html)", re.IGNORECASE)
_HEAD_BYTES: Final = 256


class Partial:
    """A download in progress: a temporary file next to its destination."""

    def __init__(self, generation: Generation, dest: str | Path, *, max_bytes: int) -> None:
        self._id = generation.id
        self._dest = Path(dest)
        self._made = isinstance(dest, str) and dest.endswith(("/", os.sep, f"{os.sep}."))
        self._max_bytes = max_bytes
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        if self._made:
            self._dest.mkdir(parents=True, exist_ok=True)
        folder = self._dest if self._dest.is_dir() else self._dest.parent
        self._file = (folder / f".{secrets.token_hex(8)}.part").open("x+b")
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
        """Discard the data of an earlier attempt."""
        assert self._file is not None
        self._file.seek(0)
        self._file.truncate()

    @property
    def fault(self) -> str | None:
        """Say why the data cannot be the asset; None if it can."""
        assert self._file is not None
        self._file.seek(0)
        head = self._file.read(_HEAD_BYTES)
        return ("a web page" if _PAGE.match(head) else None) if head else "nothing"

    def keep(self, content_type: str) -> Path:
        """Give the file its final name and return that.

        In a folder, a different file keeps the name: it may be another generation's.
        """
        assert self._file is not None
        self._file.close()
        whole = Path(self._file.name)
        if not self._dest.is_dir():
            return whole.replace(self._dest)
        kind = content_type.partition(";")[0].strip().lower()
        name, extension = _ODD_IN_A_FILE_NAME.sub("_", self._id)[:_LONGEST_NAME], _EXTENSIONS.get(kind, "")
        path = self._dest / f"{name}{extension}"
        if _took(path, whole):
            return path
        # Ids that differ only in special characters or case share a name: the second gets a suffix.
        return whole.replace(self._dest / f"{name}-{sha256(self._id.encode()).hexdigest()[:12]}{extension}")


def _took(path: Path, whole: Path) -> bool:
    """Give *whole* the name *path* if no different file has it."""
    try:
        path.hardlink_to(whole)
    except FileExistsError:
        return path.is_file() and filecmp.cmp(path, whole, shallow=False)
    except OSError:  # a file system without links
        if path.exists():
            return path.is_file() and filecmp.cmp(path, whole, shallow=False)
        whole.replace(path)
    return True


def asset_url(generation: Generation, base_url: str) -> str:
    """Return the file's URL.

    Raises:
        DownloadFailed: there is none (yet), or it is not https.
    """
    if not generation.output_url:
        raise DownloadFailed(f"{generation.id} has no file: it is {generation.status}")
    return _acceptable(base_url + "/", generation.output_url, generation.id)


def decide_download(
    name: str, reply: Reply, attempt: Attempt, *, fault: str | None, max_retries: int
) -> Done[str] | Again | Moved | Refused:
    """Decide what *reply* to this *attempt* means; *fault* is about its body. Done holds the content type."""
    last = attempt.number > max_retries
    match reply:
        case Unsent(reason) | Lost(reason):
            return Refused(DownloadFailed(f"{name}: {reason}")) if last else Again(backoff_s(attempt))
        case Answer(status, headers, _):
            is_ok = status == HTTPStatus.OK
            if is_ok and fault is None:
                return _whole(name, headers)
            if status in _MOVED and "location" in headers and not last:
                return Moved(_acceptable(attempt.url, headers["location"], name))
            if not last and (is_ok or status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR):
                return Again(backoff_s(attempt, retry_after_of(headers, attempt.sent_at)))
            what = f"{status} with {fault}" if is_ok else str(status)
            return Refused(DownloadFailed(f"{name}: the asset host answered {what}"))


def _whole(name: str, headers: Mapping[str, str]) -> Done[str] | Refused:
    """Accept only a file that cannot be truncated.

    Without a length, truncation is not visible (RFC 9112, section 8). A file compressed in spite of
    `Accept-Encoding: identity` may look complete too: the decoder drops everything after the first of several
    gzip members, and does not know every name of a coding.
    """
    if not headers.keys() & _FRAMED:
        what = "without the length of the file, which may have been cut"
    elif headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        what = "with a compressed file, which was not asked for"
    else:
        return Done(headers.get("content-type", ""))
    return Refused(DownloadFailed(f"{name}: the asset host answered 200 {what}"))


def _acceptable(base: str, written: str, name: str) -> str:
    try:
        url = urljoin(base, written)
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise DownloadFailed(f"{name}: the asset's URL cannot be read") from None
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise DownloadFailed(f"{name}: the asset's URL is not https")
    return url
