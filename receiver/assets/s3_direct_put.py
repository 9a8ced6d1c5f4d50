"""PutObject in one request and without boto3, whose call costs ten times as much.

boto3 repeats everything but plain successes, because it knows redirects, repeats and errors.
docs/decisions/0015-direct-uploads.md has the figures.
"""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError

from receiver.assets import Fetched
from receiver.assets.s3_client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from receiver.assets.s3_upload import Upload
from receiver.assets.s3_way import ObservedWay, Way, trusting
from receiver.assets.s3_wire import Answer, Connections
from receiver.errors import BucketUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NAMES: Final = {"etag": "ETag", "x-amz-checksum-sha256": "ChecksumSHA256"}


class DirectPut:
    """Uploads whole assets as botocore sent the last one. Use from one event loop."""

    def __init__(self, client: "S3Client", observed: ObservedWay, ca_file: str, *, at_once: int) -> None:
        self._observed = observed
        self._connections = Connections(partial(trusting, ca_file), at_once)
        shape: Any = client.meta.service_model.operation_model("PutObject").input_shape
        self._names = {name: str(member.serialization.get("name")) for name, member in shape.members.items()}

    async def __call__(self, upload: Upload) -> dict[str, str] | None:
        """Send *upload*; return the answer in boto3's form, or None if boto3 has to try.

        Raises:
            BucketUnavailable: the store took too long.
            OSError: the asset cannot be read.
        """
        way = self._observed.way
        if way is None:
            return None
        body = upload.asset.content
        if body is None:
            body = await asyncio.to_thread(_read, upload.asset)
        try:
            if way.is_stale:
                await asyncio.to_thread(way.credentials.get_frozen_credentials)
            head = self._head(way, upload, body)
            answer = await self._connections.put(
                way.address, head, body, connect_s=CONNECT_TIMEOUT_S, patience_s=READ_TIMEOUT_S
            )
        except TimeoutError as error:
            raise BucketUnavailable("S3: ReadTimeoutError") from error
        except (OSError, BotoCoreError):
            return None
        return _told(answer) if answer.status == HTTPStatus.OK else None

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _head(self, way: Way, upload: Upload, body: bytes) -> bytes:
        """Return the head of the request."""
        headers: dict[str, str] = {}
        for name, value in upload.parameters_of_whole(body).items():
            if isinstance(value, str):
                headers[self._names[name]] = value
            else:
                headers |= {f"{self._names[name]}{key}": told for key, told in value.items()}
        target, signed = way.signed(upload.key, {}, headers, upload.asset.sha256)
        lines = [f"PUT {target} HTTP/1.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in signed.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _read(asset: Fetched) -> bytes:
    with asset.open() as file:
        return file.read()


def _told(answer: Answer) -> dict[str, str]:
    return {_NAMES[name]: value for name, value in answer.headers.items() if name in _NAMES}
