"""Assets in S3, or a compatible store: verified, and never overwritten.

The required permissions on the prefix are s3:PutObject, s3:GetObject (to look at what is there) and
s3:AbortMultipartUpload; s3:DeleteObject on the markers of the check; s3:ListBucketMultipartUploads on the
bucket, so that uploads of killed processes can be freed. No ACL is ever sent: who may read is the bucket's
own policy.
"""

import asyncio
import hashlib
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from receiver.assets import Fetched, Held, Stored
from receiver.assets.digests import PART_BYTES
from receiver.assets.object_keys import beside, is_safe, of_its_own, require_safe
from receiver.assets.s3_check import Once, Trial, look_after_put
from receiver.assets.s3_client import AddressingStyle, certificates, open_client, open_session, secrets
from receiver.assets.s3_direct_parts import DirectParts
from receiver.assets.s3_direct_put import DirectPut
from receiver.assets.s3_early import EarlyUpload, EarlyUploads
from receiver.assets.s3_options import Dialect, ObjectOptions
from receiver.assets.s3_refusals import CREDENTIALS, DENIED, NOT_THERE, Refusals
from receiver.assets.s3_upload import MARK_METADATA, MAX_PARTS, KeyTaken, Upload, error_code, told
from receiver.assets.s3_way import ObservedWay
from receiver.errors import BucketUnavailable, ConfigError, variable
from receiver.threads import DaemonThreads

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIN_PART_BYTES: Final = 5 * 1024 * 1024
"""Every part but the last (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

_URL: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<prefix>/[^?#]*)?")
_CLOSE_S: Final = 3.0
_NO_CREDENTIALS: Final = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)

_NO_S3_ANSWER: Final = (ResponseParserError, KeyError)
"""Errors from a 200 that is not a store's: it cannot be parsed, or lacks mandatory fields."""
_READING: Final = frozenset(("HeadObject", "GetObject"))
_TOO_LARGE: Final = frozenset(("413", "EntityTooLarge"))
_BEHIND_THE_END: Final = "InvalidRange"
_BLOCK_BYTES: Final = 1024 * 1024
_EARLY_FROM_PARTS: Final = 8
"""A smaller asset is there soon, and its object can say what it holds."""


def open_s3(  # noqa: PLR0913  one keyword per setting
    url: str,
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    addressing_style: AddressingStyle = "auto",
    options: ObjectOptions = ObjectOptions(),  # noqa: B008  frozen
    dialect: Dialect = Dialect(),  # noqa: B008  frozen
    part_bytes: int = PART_BYTES,
    threads: int = 4,
    ca_file: str | None = None,
) -> "S3Bucket":
    """Return the bucket at `s3://bucket/prefix`; open no connection yet.

    Credentials come from boto3's own chain: environment, shared files, instance or pod role.

    Args:
        url: `s3://bucket`, with an optional prefix.
        endpoint_url: of an S3-compatible store.
        region: instead of what boto3's chain finds.
        addressing_style: where the bucket's name goes; `auto` is the path with *endpoint_url*.
        options: what every object should have.
        dialect: what the store supports.
        part_bytes: larger assets are uploaded in parts of this size; also the memory of one upload.
        threads: simultaneous uploads.
        ca_file: further certificate authorities to trust, besides boto3's.

    Raises:
        ConfigError: *url*, *endpoint_url* or the AWS configuration is malformed.
        ValueError: *part_bytes* is under `MIN_PART_BYTES`.
    """
    if part_bytes < MIN_PART_BYTES:
        raise ValueError(f"part_bytes is at least {MIN_PART_BYTES}")
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigError("write s3://bucket/prefix", "assets_url")
    prefix = (match["prefix"] or "").strip("/")
    _require_safe_prefix(prefix)
    session, trusted = open_session(region), certificates(ca_file)
    client = open_client(session, endpoint_url, threads, addressing_style, trusted)
    observed = ObservedWay(client, session.get_credentials)
    parts = DirectParts(observed, trusted, at_once=threads)
    return S3Bucket(
        client,
        match["bucket"],
        prefix,
        part_bytes,
        DaemonThreads(threads, name="receiver-s3"),
        options,
        dialect,
        partial(secrets, session),
        DirectPut(client, observed, trusted, at_once=threads),
        parts,
        EarlyUploads(parts),
    )


def _require_safe_prefix(prefix: str) -> None:
    try:
        require_safe(prefix or "none")
    except ValueError as error:
        raise ConfigError(f"the prefix {prefix!r} must consist of plain names", "assets_url") from error


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A `Bucket` in S3. boto3 blocks, so everything runs in *threads*; its client is safe to share."""

    client: "S3Client"
    bucket: str
    prefix: str
    part_bytes: int
    threads: DaemonThreads
    options: ObjectOptions
    dialect: Dialect
    secrets: Callable[[], list[str]]
    direct: DirectPut
    direct_parts: DirectParts
    early: EarlyUploads
    _once: Once = field(default_factory=Once)

    async def put(self, key: str, asset: Fetched, *, metadata: dict[str, str]) -> Stored:
        """Keep *asset* under *key*, with *metadata*, its digest, and `Content-Disposition: attachment`.

        If the bucket did not answer the check at start, it is checked first. In a store without conditional
        writes, the name is unique to these bytes of this event (`event-id` in *metadata*).

        Raises:
            BucketUnavailable: S3 failed, or refused us.
            ValueError: *key* is not safe.
        """
        require_safe(key)
        if await self._put_directly(key, asset, metadata):
            return Stored(self._url(key))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, self._put, key, asset, metadata)

    def begin(self, key: str, coming: Fetched, *, metadata: dict[str, str]) -> EarlyUpload | None:
        """Begin to upload what is *coming*, if it is large and its digest has no place but the metadata.

        Raises:
            ValueError: *key* is not safe.
        """
        require_safe(key)
        is_plain = self.dialect == Dialect() and not self.options.has_digest
        sizes = range(_EARLY_FROM_PARTS * self.part_bytes, MAX_PARTS * self.part_bytes)
        if not (self._once.has_passed and is_plain and coming.size_bytes in sizes):
            return None
        return self.early.begin(self._upload(key, coming, metadata), lambda: bool(self._look(key)))

    def key_of(self, url: str) -> str | None:
        """Return the key of an object under this prefix."""
        base = self._url("")
        key = url.removeprefix(base)
        return key if url.startswith(base) and is_safe(key) else None

    async def look(self, key: str) -> Held | None:
        """Describe the object: with the checksum that S3 computed, else the one that we sent."""
        require_safe(key)
        return await asyncio.get_running_loop().run_in_executor(self.threads, self._told, key)

    async def part(self, key: str, start: int, size: int) -> bytes | None:
        """Download some bytes of the object."""
        require_safe(key)
        return await asyncio.get_running_loop().run_in_executor(self.threads, self._part, key, start, size)

    async def read(self, key: str) -> Held | None:
        """Download the object, and return its size and checksum."""
        require_safe(key)
        return await asyncio.get_running_loop().run_in_executor(self.threads, self._read, key)

    async def remove(self, key: str) -> None:
        """Delete the object; a versioned bucket keeps the old one. Needs the permission `s3:DeleteObject`."""
        require_safe(key)
        await asyncio.get_running_loop().run_in_executor(self.threads, self._remove, key)

    async def check(self) -> None:
        """Raise if the bucket cannot store assets as configured; leave nothing in it.

        Raises:
            ConfigError: no such bucket, no credentials, no permission, or an unsupported feature.
            BucketUnavailable: S3 did not answer.
        """
        check = partial(self._once, self._check, again=True)
        await asyncio.get_running_loop().run_in_executor(self.threads, check)

    async def aclose(self) -> None:
        """Close the connections. Uploads in progress get a few seconds to finish."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.gather(self.threads.finish(within_s=_CLOSE_S), self.early.finish(within_s=_CLOSE_S))
        self.direct.close()
        self.direct_parts.close()
        self.client.close()

    async def _put_directly(self, key: str, asset: Fetched, metadata: dict[str, str]) -> bool:
        """Create the object without boto3; False if that is not possible or failed."""
        if not (self._once.has_passed and self.dialect.conditional and asset.size_bytes <= self.part_bytes):
            return False
        upload = self._upload(key, asset, metadata)
        with _failures():
            answer = await self.direct(upload)
        if answer is None:
            return False
        if not upload.is_told_by(answer):
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self.threads, self._require_proven, key, upload, answer)
        return True

    def _require_proven(self, key: str, upload: Upload, answer: Mapping[str, Any]) -> None:
        with _failures():
            if not upload.is_proven_by(answer):
                self._require_held(key, upload.asset)

    def _put(self, key: str, asset: Fetched, metadata: dict[str, str]) -> Stored:
        self._require_checked()
        with _failures():
            if not self.dialect.conditional:
                key = of_its_own(key, asset.sha256, metadata.get("event-id", ""))
            if self._place(key, asset, metadata):
                return Stored(self._url(key))
            other = beside(key, asset.sha256)
            if self.dialect.conditional and self._place(other, asset, metadata):
                return Stored(self._url(other), conflict=True)
        taken = other if self.dialect.conditional else key
        raise BucketUnavailable(f"{self._url(taken)} does not match the digest in its name")

    def _require_checked(self) -> None:
        try:
            self._once(self._check)
        except ConfigError as error:
            raise BucketUnavailable(str(error)) from error

    def _place(self, key: str, asset: Fetched, metadata: dict[str, str]) -> bool:
        """Make sure that *key* exists; False if it is not *asset*."""
        early = asset.early
        # One that ended has failed: that says nothing of the store now, or of an object beside another.
        if isinstance(early, EarlyUpload) and not early.done.done():
            # Make an object of what was sent during the download.
            try:
                early.finish(asset)
            except KeyTaken:
                return self._is(key, asset, self._look_after_put(key), early.mark)
            self._require_held(key, asset, early.mark)
            return True
        # Check first: an earlier attempt may have uploaded a large asset, and some stores would overwrite.
        if (asset.size_bytes > self.part_bytes or not self.dialect.conditional) and (held := self._look(key)):
            return self._is(key, asset, held)
        upload = self._upload(key, asset, metadata)
        try:
            is_proven = upload.run(self.part_bytes)
        except KeyTaken:
            return self._is(key, asset, self._look_after_put(key))
        if not is_proven:
            self._require_held(key, asset)
        return True

    def _upload(self, key: str, asset: Fetched, metadata: dict[str, str]) -> Upload:
        full, of = self._full(key), (self.options, self.dialect, self.direct_parts)
        return Upload(self.client, self.bucket, full, asset, metadata, *of)

    def _require_held(self, key: str, asset: Fetched, mark: str = "") -> None:
        if not self._is(key, asset, self._look_after_put(key), mark):
            raise BucketUnavailable(f"{self._url(key)} does not hold what was just uploaded")

    def _is(self, key: str, asset: Fetched, found: "_Object", mark: str = "") -> bool:
        """Whether what was *found* under *key* is *asset*; read it where it does not say its digest."""
        if found.mark and not found.sha256 and found.size_bytes == asset.size_bytes:
            return found.mark == mark or self._read(key) == Held(asset.size_bytes, asset.sha256)
        return (found.size_bytes, found.sha256) == (asset.size_bytes, asset.sha256)

    def _look(self, key: str) -> "_Object | None":
        try:
            return _object(self.client.head_object(Bucket=self.bucket, Key=self._full(key)))
        except ClientError as error:
            # Without permission to list the bucket, a missing object is a 403.
            if error_code(error) in NOT_THERE | DENIED:
                return None
            raise

    def _look_after_put(self, key: str) -> "_Object":
        return _object(look_after_put(self.client, self.bucket, self._full(key)))

    def _told(self, key: str) -> Held | None:
        with _failures():
            try:
                head = self.client.head_object(
                    Bucket=self.bucket, Key=self._full(key), ChecksumMode="ENABLED"
                )
            except ClientError as error:
                if error_code(error) in NOT_THERE:
                    return None
                raise
            size_bytes = head["ContentLength"]
        checksum = head.get("ChecksumSHA256", "")
        # For a multipart object, this is a checksum of the parts' checksums.
        whole = checksum and "-" not in checksum
        if whole:
            return Held(size_bytes, b64decode(checksum).hex())
        said = _object(head)
        return Held(size_bytes, None if said.mark and not said.sha256 else said.sha256)

    def _part(self, key: str, start: int, size: int) -> bytes | None:
        wanted = f"bytes={start}-{start + size - 1}"
        with _failures():
            try:
                found = self.client.get_object(Bucket=self.bucket, Key=self._full(key), Range=wanted)
            except ClientError as error:
                if error_code(error) in NOT_THERE:
                    return None
                if error_code(error) == _BEHIND_THE_END:
                    return b""
                raise
            with closing(found["Body"]) as body:
                is_part = found["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.PARTIAL_CONTENT
                left = 0 if is_part else start  # some stores ignore ranges, and send the whole object
                while left and (skipped := body.read(min(left, _BLOCK_BYTES))):
                    left -= len(skipped)
                return body.read(size)

    def _read(self, key: str) -> Held | None:
        with _failures():
            try:
                body = self.client.get_object(Bucket=self.bucket, Key=self._full(key))["Body"]
            except ClientError as error:
                if error_code(error) in NOT_THERE:
                    return None
                raise
            digest, size = hashlib.sha256(), 0
            with closing(body):
                for block in body.iter_chunks(_BLOCK_BYTES):
                    digest.update(block)
                    size += len(block)
        return Held(size, digest.hexdigest())

    def _remove(self, key: str) -> None:
        with _failures():
            self.client.delete_object(Bucket=self.bucket, Key=self._full(key))

    def _check(self) -> None:
        refusals = Refusals(self.bucket, self.secrets)
        try:
            Trial(self.client, self.bucket, self._full(""), self.options, self.dialect, refusals).run()
        except ClientError as error:
            raise refusals.refusal(error) from error
        except _NO_CREDENTIALS as error:
            raise ConfigError(f"no usable AWS credentials: set {CREDENTIALS}") from error
        except (BotoCoreError, *_NO_S3_ANSWER) as error:
            raise BucketUnavailable(
                f"S3 does not answer ({type(error).__name__}): check {variable('s3_endpoint_url')}"
            ) from error
        except OSError as error:
            raise BucketUnavailable(f"no space for a marker of a few bytes: {error.strerror}") from error

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _url(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._full(key)}"


@dataclass(frozen=True, slots=True)
class _Object:
    size_bytes: int
    sha256: str
    mark: str
    """Of the upload that it came from, if that did not know the digest."""


def _object(head: Mapping[str, Any]) -> _Object:
    return _Object(head["ContentLength"], told(head), told(head, MARK_METADATA))


@contextmanager
def _failures() -> Iterator[None]:
    """Translate boto3's errors without their texts, which quote URLs."""
    try:
        yield
    except ClientError as error:
        raise BucketUnavailable(_client_error(error)) from error
    except (BotoCoreError, OSError) as error:
        raise BucketUnavailable(f"S3: {type(error).__name__}") from error
    except _NO_S3_ANSWER as error:
        raise BucketUnavailable(f"what answers is not an S3 store ({type(error).__name__})") from error


def _client_error(error: ClientError) -> str:
    code = error_code(error)
    told = f"S3 {error.operation_name}: {code}"
    if error.operation_name in _READING and code in DENIED:
        return f"{told}: no permission to read (s3:GetObject), or no such object (s3:ListBucket would tell)"
    if code in _TOO_LARGE:
        return f"{told}: a proxy in front of the store refuses bodies of 8 MiB (nginx: client_max_body_size)"
    return told
