"""PutObject in one request and without boto3, whose call costs ten times as much.

botocore still says where it goes, what each parameter is as a header, and how it is signed: one upload has to
go its way first, and that of the check does. It also does again whatever was no plain success, for it knows
about redirects, repeats and errors.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError
from botocore.httpsession import create_urllib3_context
from botocore.utils import get_environ_proxies

from receiver.assets import Fetched
from receiver.assets.s3_client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from receiver.assets.s3_upload import Upload
from receiver.assets.s3_wire import Address, Answer, Connections
from receiver.errors import BucketUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_SIGNATURE: Final = "s3v4"
_NAMES: Final = {"etag": "ETag", "x-amz-checksum-sha256": "ChecksumSHA256"}


@dataclass(frozen=True, slots=True)
class _Way:
    """How botocore sent the last upload."""

    base_url: str
    """That of the bucket: a key follows."""
    address: Address
    authority: str
    region: str
    service: str
    agent: str
    credentials: Credentials


class _Signer(S3SigV4Auth):
    """Signs a body whose digest is known; the store refuses any other."""

    def payload(self, request: AWSRequest) -> str:
        return str(request.context["sha256"])


class DirectPut:
    """Uploads whole assets to where botocore sent the last one. Use from one event loop."""

    def __init__(
        self,
        client: "S3Client",
        credentials: Callable[[], Credentials | None],
        ca_file: str,
        *,
        at_once: int,
    ) -> None:
        self._credentials = credentials
        self._connections = Connections(partial(_trusting, ca_file), at_once)
        shape: Any = client.meta.service_model.operation_model("PutObject").input_shape
        self._names = {name: str(member.serialization.get("name")) for name, member in shape.members.items()}
        self._way: _Way | None = None
        client.meta.events.register("before-sign.s3.PutObject", self._note_way)

    async def __call__(self, upload: Upload) -> dict[str, str] | None:
        """Send *upload*; return the answer as boto3 names it, or None where boto3 has to try.

        Raises:
            BucketUnavailable: the store took too long.
            OSError: the asset cannot be read.
        """
        way = self._way
        if way is None:
            return None
        body = await _body(upload.asset)
        try:
            keys = await _frozen(way.credentials)
            head = self._head(way, keys, upload, body)
            answer = await self._connections.put(
                way.address, head, body, connect_s=CONNECT_TIMEOUT_S, patience_s=READ_TIMEOUT_S
            )
        except TimeoutError as error:
            raise BucketUnavailable("S3: ReadTimeoutError") from error
        except (OSError, BotoCoreError):
            return None
        return _told(answer) if answer.status == HTTPStatus.OK else None

    def close(self) -> None:
        """Let go of the connections."""
        self._connections.close()

    def _note_way(self, request: Any, signature_version: str, **_named: Any) -> None:
        """Learn from a request that botocore is about to sign; it calls this."""
        key = _quoted(str(request.context.get("input_params", {}).get("Key")))
        base_url, credentials = request.url.removesuffix(key), self._credentials()
        url, signing = urlsplit(base_url), request.context.get("signing", {})
        is_plain = (
            signature_version == _SIGNATURE
            and request.url == f"{base_url}{key}"
            and not url.query
            and not url.username
            and url.scheme not in get_environ_proxies(base_url)
        )
        if not (is_plain and credentials and url.hostname and "region" in signing):
            self._way = None
            return
        is_encrypted = url.scheme == "https"
        address = Address(url.hostname, url.port or (443 if is_encrypted else 80), is_encrypted)
        service, agent = signing.get("signing_name", "s3"), str(request.headers["User-Agent"])
        self._way = _Way(base_url, address, url.netloc, signing["region"], service, agent, credentials)

    def _head(self, way: _Way, keys: ReadOnlyCredentials, upload: Upload, body: bytes) -> bytes:
        """Return the head of the request, signed."""
        headers: dict[str, str] = {"Host": way.authority, "User-Agent": way.agent}
        for name, value in upload.parameters_of_whole(body).items():
            if isinstance(value, str):
                headers[self._names[name]] = value
            else:
                headers |= {f"{self._names[name]}{key}": told for key, told in value.items()}
        request = AWSRequest("PUT", f"{way.base_url}{_quoted(upload.key)}", headers)
        request.context["sha256"] = upload.asset.sha256
        _Signer(keys, way.service, way.region).add_auth(request)
        path = f"{urlsplit(way.base_url).path or '/'}{_quoted(upload.key)}"
        signed: Any = request.headers
        lines = [f"PUT {path} HTTP/1.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in signed.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _quoted(key: str) -> str:
    return quote(key, safe="/~")


async def _body(asset: Fetched) -> bytes:
    return asset.content if asset.content is not None else await asyncio.to_thread(_read, asset)


def _read(asset: Fetched) -> bytes:
    with asset.open() as file:
        return file.read()


async def _frozen(credentials: Credentials) -> ReadOnlyCredentials:
    """Return what to sign with. Asking for fresh ones blocks."""
    if isinstance(credentials, RefreshableCredentials) and credentials.refresh_needed():
        return await asyncio.to_thread(credentials.get_frozen_credentials)
    return credentials.get_frozen_credentials()


def _told(answer: Answer) -> dict[str, str]:
    return {_NAMES[name]: value for name, value in answer.headers.items() if name in _NAMES}


def _trusting(ca_file: str) -> ssl.SSLContext:
    """Return botocore's own context, but for the names, which urllib3 would check by itself."""
    context: ssl.SSLContext = create_urllib3_context()
    context.check_hostname = True
    context.load_verify_locations(cafile=ca_file)
    return context
