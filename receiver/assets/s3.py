"""Assets in S3, or in a store that speaks its protocol: verified, and never overwritten.

The rights needed on the prefix are s3:PutObject, s3:GetObject (to look at what is there) and
s3:AbortMultipartUpload; s3:ListBucketMultipartUploads on the bucket, so that what killed processes left
can be freed. No ACL is ever sent: who may read is the bucket's own policy.
"""

import asyncio
import hashlib
import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)

from receiver.assets import Fetched, Held, Stored
from receiver.assets.keys import beside, is_safe, require_safe
from receiver.assets.s3_options import ObjectOptions
from receiver.assets.s3_upload import SHA256_METADATA, KeyTaken, Upload, error_code
from receiver.errors import BucketUnavailable, ConfigError
from receiver.threads import DaemonThreads

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AddressingStyle = Literal["auto", "path", "virtual"]

MIN_PART_BYTES: Final = 5 * 1024 * 1024
"""Every part but the last (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

_URL: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<prefix>/[^?#]*)?")
_CONNECT_TIMEOUT_S: Final = 10
_READ_TIMEOUT_S: Final = 60
_ATTEMPTS: Final = 3
_CLOSE_S: Final = 3.0
_CREDENTIALS: Final = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or another source boto3 knows)"

# Never quoted: people write credentials into URLs.
_NOT_A_URL: Final = "RECEIVER_S3_ENDPOINT_URL is not an http or https URL"
_NO_CREDENTIALS: Final = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)

_NOT_THERE: Final = frozenset(("404", "NoSuchKey"))
_DENIED: Final = frozenset(("403", "AccessDenied"))
_READING: Final = frozenset(("HeadObject", "GetObject"))
_BLOCK_BYTES: Final = 1024 * 1024

_OTHER_REGION: Final = "RECEIVER_S3_REGION: the bucket is in another region"

# What an operator has to change, by the error code of S3's answer.
_ADVICE: Final = {
    "NoSuchBucket": "RECEIVER_ASSETS_URL: no such bucket; create it, or correct the name",
    "InvalidBucketName": "RECEIVER_ASSETS_URL: S3 refuses this bucket name",
    "AccessDenied": "RECEIVER_ASSETS_URL: no right to write there (s3:PutObject, s3:AbortMultipartUpload;"
    " s3:PutObjectTagging for tags; kms:GenerateDataKey and kms:Decrypt for a KMS key)",
    "InvalidStorageClass": "RECEIVER_S3_STORAGE_CLASS: the store does not know this class",
    "InvalidTag": "RECEIVER_S3_TAGS: the store refuses them",
    "KMS.NotFoundException": "RECEIVER_S3_KMS_KEY_ID: no such key in the bucket's region",
    "KMS.DisabledException": "RECEIVER_S3_KMS_KEY_ID: the key is disabled",
    "KMS.KMSInvalidStateException": "RECEIVER_S3_KMS_KEY_ID: the key is pending deletion, or unusable",
    "InvalidAccessKeyId": f"unknown access key: check {_CREDENTIALS}",
    "SignatureDoesNotMatch": f"wrong secret key: check {_CREDENTIALS}",
    "ExpiredToken": f"expired credentials: renew {_CREDENTIALS}",
    "InvalidToken": f"invalid session token: check AWS_SESSION_TOKEN with {_CREDENTIALS}",
    "PermanentRedirect": _OTHER_REGION,
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "IllegalLocationConstraintException": _OTHER_REGION,
}


def open_s3(
    url: str,
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    addressing_style: AddressingStyle = "auto",
    options: ObjectOptions = ObjectOptions(),  # noqa: B008  frozen
    part_bytes: int = 8 * 1024 * 1024,
    threads: int = 4,
) -> "S3Bucket":
    """Return the bucket that `s3://bucket/prefix` names; connect nowhere yet.

    Credentials come from boto3's own chain: environment, shared files, instance or pod role.

    Args:
        url: `s3://bucket`, with an optional prefix.
        endpoint_url: of an S3-compatible store.
        region: instead of what boto3's chain finds.
        addressing_style: where the bucket's name goes; `auto` is the path with *endpoint_url*.
        options: what every object is to have.
        part_bytes: larger assets go up in parts of this size; what one upload holds in memory.
        threads: uploads at a time.

    Raises:
        ConfigError: *url*, *endpoint_url* or the AWS configuration is malformed.
        ValueError: *part_bytes* is under `MIN_PART_BYTES`.
    """
    if part_bytes < MIN_PART_BYTES:
        raise ValueError(f"part_bytes is at least {MIN_PART_BYTES}")
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigError("RECEIVER_ASSETS_URL is not of the form s3://bucket/prefix")
    prefix = (match["prefix"] or "").strip("/")
    _require_safe_prefix(prefix)
    return S3Bucket(
        _client(endpoint_url, region, threads, addressing_style),
        match["bucket"],
        prefix,
        part_bytes,
        DaemonThreads(threads, name="receiver-s3"),
        options,
    )


def _require_safe_prefix(prefix: str) -> None:
    try:
        require_safe(prefix or "none")
    except ValueError as error:
        raise ConfigError(f"RECEIVER_ASSETS_URL: the prefix {prefix!r} is not plain names") from error


def _client(
    endpoint_url: str | None, region: str | None, threads: int, addressing_style: AddressingStyle
) -> "S3Client":
    if addressing_style == "auto" and endpoint_url is not None:
        addressing_style = "path"
    if endpoint_url is not None and not endpoint_url.startswith(("https://", "http://")):
        raise ConfigError(_NOT_A_URL)
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=threads,
        s3={"addressing_style": addressing_style},
        # Every upload names its own checksum; trailing checksums are unknown to some compatible stores.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        return boto3.Session(region_name=region).client("s3", endpoint_url=endpoint_url, config=config)
    except ValueError as error:  # only the endpoint is parsed here
        raise ConfigError(_NOT_A_URL) from error
    except BotoCoreError as error:
        raise ConfigError(f"the AWS configuration is unusable: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A `Bucket` in S3. boto3 blocks, so everything runs in *threads*; its client is safe to share."""

    client: "S3Client"
    bucket: str
    prefix: str
    part_bytes: int
    threads: DaemonThreads
    options: ObjectOptions = field(default_factory=ObjectOptions)

    async def put(self, key: str, asset: Fetched, *, metadata: dict[str, str]) -> Stored:
        """Keep *asset* under *key*, with *metadata*, its digest, and `Content-Disposition: attachment`.

        Raises:
            BucketUnavailable: S3 failed, or refused us.
            ValueError: *key* is not safe.
        """
        require_safe(key)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, self._put, key, asset, metadata)

    def key_of(self, url: str) -> str | None:
        """Return the key of an object under this prefix."""
        base = self._url("")
        key = url.removeprefix(base)
        return key if url.startswith(base) and is_safe(key) else None

    async def look(self, key: str) -> Held | None:
        """Tell what S3 says of the object: the checksum that it computed, else the one that we sent."""
        require_safe(key)
        return await asyncio.get_running_loop().run_in_executor(self.threads, self._told, key)

    async def read(self, key: str) -> Held | None:
        """Download the object, and tell its size and checksum."""
        require_safe(key)
        return await asyncio.get_running_loop().run_in_executor(self.threads, self._read, key)

    async def check(self) -> None:
        """Refuse if the bucket cannot be written; leave nothing in it.

        Raises:
            ConfigError: no such bucket, no right to write, or no credentials.
            BucketUnavailable: S3 did not answer.
        """
        await asyncio.get_running_loop().run_in_executor(self.threads, self._check)

    async def aclose(self) -> None:
        """Let go of the connections. Uploads under way have a few seconds to end; then the process may."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        await self.threads.finish(within_s=_CLOSE_S)
        self.client.close()

    def _put(self, key: str, asset: Fetched, metadata: dict[str, str]) -> Stored:
        with _failures():
            if self._place(key, asset, metadata):
                return Stored(self._url(key))
            other = beside(key, asset.sha256)
            if self._place(other, asset, metadata):
                return Stored(self._url(other), conflict=True)
        raise BucketUnavailable(f"{self._url(other)} holds other bytes than its name says")

    def _place(self, key: str, asset: Fetched, metadata: dict[str, str]) -> bool:
        """Make sure that *key* holds something; False if it is not *asset*."""
        ours = _Object(asset.size_bytes, asset.sha256)
        # A large asset is not sent in vain when an earlier attempt had got it there.
        if asset.size_bytes > self.part_bytes and (held := self._look(key)):
            return held == ours
        try:
            Upload(self.client, self.bucket, self._full(key), asset, metadata, self.options).run(
                self.part_bytes
            )
        except KeyTaken:
            return self._look(key, required=True) == ours
        if self._look(key, required=True) != ours:
            raise BucketUnavailable(f"{self._url(key)} does not hold what was just uploaded")
        return True

    def _look(self, key: str, *, required: bool = False) -> "_Object | None":
        try:
            head = self.client.head_object(Bucket=self.bucket, Key=self._full(key))
        except ClientError as error:
            # Who may not list a bucket is told 403 where there is nothing.
            if error_code(error) in _NOT_THERE | _DENIED and not required:
                return None
            raise
        return _Object(head["ContentLength"], head["Metadata"].get(SHA256_METADATA, ""))

    def _told(self, key: str) -> Held | None:
        with _failures():
            try:
                head = self.client.head_object(
                    Bucket=self.bucket, Key=self._full(key), ChecksumMode="ENABLED"
                )
            except ClientError as error:
                if error_code(error) in _NOT_THERE:
                    return None
                raise
        checksum = head.get("ChecksumSHA256", "")
        # That of an object made of parts is one of the parts' checksums.
        whole = checksum and "-" not in checksum
        sha256 = b64decode(checksum).hex() if whole else head["Metadata"].get(SHA256_METADATA, "")
        return Held(head["ContentLength"], sha256)

    def _read(self, key: str) -> Held | None:
        with _failures():
            try:
                body = self.client.get_object(Bucket=self.bucket, Key=self._full(key))["Body"]
            except ClientError as error:
                if error_code(error) in _NOT_THERE:
                    return None
                raise
            digest, size = hashlib.sha256(), 0
            with closing(body):
                for block in body.iter_chunks(_BLOCK_BYTES):
                    digest.update(block)
                    size += len(block)
        return Held(size, digest.hexdigest())

    def _check(self) -> None:
        try:
            self._probe()
        except ClientError as error:
            code = error_code(error)
            if code in _ADVICE:
                raise ConfigError(f"{_ADVICE[code]} ({self.bucket}: {code})") from error
            raise BucketUnavailable(_client_error(error)) from error
        except _NO_CREDENTIALS as error:
            raise ConfigError(f"no usable AWS credentials: set {_CREDENTIALS}") from error
        except BotoCoreError as error:
            raise BucketUnavailable(
                f"S3 does not answer ({type(error).__name__}): check RECEIVER_S3_ENDPOINT_URL"
            ) from error

    def _probe(self) -> None:
        """Begin an upload and abort it: that takes the right to write, and leaves nothing."""
        self._require_bucket()
        key = self._full(".receiver-check")
        options: dict[str, Any] = self.options.parameters({})
        upload_id = self.client.create_multipart_upload(Bucket=self.bucket, Key=key, **options)["UploadId"]
        self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)

    def _require_bucket(self) -> None:
        try:
            self.client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if error_code(error) == "404":
                raise ConfigError(f"{_ADVICE['NoSuchBucket']} ({self.bucket})") from error
            # Any other refusal is explained by the upload that follows: an answer to HEAD has no text.

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _url(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._full(key)}"


@dataclass(frozen=True, slots=True)
class _Object:
    size_bytes: int
    sha256: str


@contextmanager
def _failures() -> Iterator[None]:
    """Translate what boto3 raises, leaving out its texts: they quote URLs."""
    try:
        yield
    except ClientError as error:
        raise BucketUnavailable(_client_error(error)) from error
    except (BotoCoreError, OSError) as error:
        raise BucketUnavailable(f"S3: {type(error).__name__}") from error


def _client_error(error: ClientError) -> str:
    code = error_code(error)
    told = f"S3 {error.operation_name}: {code}"
    if error.operation_name in _READING and code in _DENIED:
        return f"{told}: no right to read (s3:GetObject), or nothing there (s3:ListBucket would tell)"
    return told
