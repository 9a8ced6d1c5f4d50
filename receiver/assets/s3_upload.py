"""One upload to S3 that creates the complete object or leaves nothing.

Not boto3's `upload_fileobj`: it cannot send If-None-Match, and a short read makes it store less than the
file.
"""

import hashlib
import os
import re
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from botocore.exceptions import BotoCoreError, ClientError

from receiver.assets import Fetched, Part
from receiver.assets.s3_direct_parts import DirectParts
from receiver.assets.s3_options import Dialect, ObjectOptions
from receiver.errors import BucketUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    SendParts = Callable[[str], tuple[list[CompletedPartTypeDef], int]]
    """Sends the parts of the upload with that id; returns them, and the CRC-32 of the whole."""

SHA256_METADATA: Final = "sha256"
"""The user metadata with the digest of an object; the ETag of a multipart object is not one."""
MARK_METADATA: Final = "upload"
"""Stands in its place in what was uploaded before it was known: a random word that its upload knows."""

# The last one answers a completion that was repeated after a lost answer.
_TAKEN: Final = frozenset(("PreconditionFailed", "ConditionalRequestConflict", "412", "409", "NoSuchUpload"))
MAX_PARTS: Final = 10_000
_MAX_METADATA_CHARS: Final = 256
_ABANDONED_AFTER: Final = timedelta(days=1)
"""Longer than any upload takes."""
_CRC32_OF_THE_WHOLE: Final[dict[str, Any]] = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
_DISPOSITION: Final = "attachment"  # a browser that follows the link saves the file instead of showing it


class KeyTaken(Exception):
    """The key may already exist, or another upload to it is just finishing: check."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What to store, and where."""

    client: "S3Client"
    bucket: str
    key: str
    asset: Fetched
    metadata: dict[str, str]
    options: ObjectOptions = field(default_factory=ObjectOptions)
    dialect: Dialect = field(default_factory=Dialect)
    direct: DirectParts | None = None

    def run(self, part_bytes: int) -> bool:
        """Create the object, in parts if it is larger than *part_bytes*.

        Returns whether the answer proves that the store has these very bytes.

        Raises:
            KeyTaken: nothing was created now.
            BucketUnavailable: the file has changed since the download; nothing was created.
            ClientError: S3 refused; nothing was created.
            BotoCoreError: S3 did not answer; the result is unknown.
        """
        if self.asset.size_bytes <= part_bytes:
            return self.is_proven_by(self.put_whole())
        self.put_in_parts(partial(self.send_parts, max(part_bytes, -(-self.asset.size_bytes // MAX_PARTS))))
        return False

    def is_told_by(self, answer: Mapping[str, Any]) -> bool:
        """Whether the *answer* contains the SHA-256 that the store computed."""
        return answer.get("ChecksumSHA256") == _sha256(self.asset)

    def is_proven_by(self, answer: Mapping[str, Any]) -> bool:
        """Whether it contains that, or the MD5. The ETag of an encrypted object may be anything."""
        if self.is_told_by(answer):
            return True
        etag = str(answer.get("ETag", ""))
        with self.asset.open() as file:
            return etag.strip('"') == hashlib.md5(file.read(), usedforsecurity=False).hexdigest()

    def put_whole(self) -> dict[str, Any]:
        """Create the object with one request; return the answer. Raises the same as `run`."""
        with _taken(self.key):
            with self.asset.open() as file:
                body = file.read()
            answer = self.client.put_object(
                Bucket=self.bucket, Key=self.key, Body=body, **self.parameters_of_whole(body)
            )
            return dict(answer)

    def put_in_parts(self, send: "SendParts") -> dict[str, Any]:
        """Create the object from what is sent; return all answers in one. Raises what `run` and *send* do."""
        with _taken(self.key):
            return self._put_in_parts(send)

    def parameters_of_whole(self, body: bytes) -> dict[str, Any]:
        """Return the parameters of PutObject besides place and body: boto3's names for its headers."""
        return {
            **self._checksum(ChecksumSHA256=_sha256(self.asset), of=body),
            **self._condition(),
            **self._described(),
        }

    def _put_in_parts(self, send: "SendParts") -> dict[str, Any]:
        begun = self.client.create_multipart_upload(
            Bucket=self.bucket,
            Key=self.key,
            **({} if self.dialect.md5 else _CRC32_OF_THE_WHOLE),
            **self._described(),
        )
        upload_id = begun["UploadId"]
        try:
            parts, crc32 = send(upload_id)
            self._abort_abandoned(besides=upload_id)  # an early upload is now known to be wanted
            # A store that does not know the type would mistake the checksum of the whole for one of the
            # parts.
            whole: dict[str, Any] = (
                {"ChecksumCRC32": _base64(crc32), "ChecksumType": "FULL_OBJECT"}
                if begun.get("ChecksumType") == "FULL_OBJECT"
                else {}
            )
            done = self.client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=self.key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
                **self._condition(),
                **whole,
            )
        except BaseException:
            self._abort(upload_id)
            raise
        return {**begun, **done}

    def send_parts(self, part_bytes: int, upload_id: str) -> tuple[list["CompletedPartTypeDef"], int]:
        """Send the file in parts of that size; return them and the CRC-32 of the whole."""
        known = self.asset.parts
        if self.direct and known and known.part_bytes == part_bytes and not self.dialect.md5:
            with self.asset.open() as file:
                send = partial(self.send_part, self.direct, upload_id, file)
                return self.direct.each(send, enumerate(known.all, start=1)), known.crc32
        digest, crc32 = hashlib.sha256(), 0
        parts: list[CompletedPartTypeDef] = []
        for number, block in enumerate(self._blocks(part_bytes), start=1):
            digest.update(block)
            crc32 = zlib.crc32(block, crc32)
            parts.append(self._send_block(upload_id, number, block))
        if digest.hexdigest() != self.asset.sha256:
            raise self._changed()
        return parts, crc32

    def send_part(
        self, direct: DirectParts, upload_id: str, file: BinaryIO, numbered: tuple[int, Part]
    ) -> "CompletedPartTypeDef":
        """Send a part that the download told of, from the *file*, which other threads read, too."""
        number, part = numbered
        query = {"partNumber": str(number), "uploadId": upload_id}
        if etag := direct.send(file, part, self.key, query):
            return {"PartNumber": number, "ETag": etag, "ChecksumCRC32": part.crc32_base64}
        block = os.pread(file.fileno(), part.size_bytes, part.start)
        if hashlib.sha256(block).hexdigest() != part.sha256:
            raise self._changed()
        return self._send_block(upload_id, number, block)

    def _changed(self) -> BucketUnavailable:
        return BucketUnavailable(f"{self.asset.path} changed since it was downloaded")

    def _send_block(self, upload_id: str, number: int, block: bytes) -> "CompletedPartTypeDef":
        checksum = self._checksum(ChecksumCRC32=_base64(zlib.crc32(block)), of=block)
        answer = self.client.upload_part(
            Bucket=self.bucket, Key=self.key, UploadId=upload_id, PartNumber=number, Body=block, **checksum
        )
        part: CompletedPartTypeDef = {"PartNumber": number, "ETag": answer["ETag"]}
        if not self.dialect.md5:
            part["ChecksumCRC32"] = checksum["ChecksumCRC32"]
        return part

    def _blocks(self, part_bytes: int) -> Iterator[bytes]:
        with self.asset.open() as file:
            while block := file.read(part_bytes):
                yield block

    def _abort_abandoned(self, *, besides: str) -> None:
        """Free the parts that killed predecessors left under this key; only the bill would show them.

        This only saves money, so a refusal is ignored.
        """
        with suppress(ClientError, BotoCoreError):
            answer = self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=self.key)
            for upload in answer.get("Uploads", ()):
                begun = upload.get("Initiated")
                is_another = upload.get("Key") == self.key and upload["UploadId"] != besides
                if is_another and begun and self._is_abandoned(begun):
                    self._abort(upload["UploadId"])

    def _is_abandoned(self, begun: datetime) -> bool:
        """Whether another upload to this key, begun then, is abandoned.

        Under the name of one event only the holder of its lease uploads, and that is us. A name made of the
        bytes alone is that of every event which brings them.
        """
        ids = (self.metadata.get(name) for name in ("event-id", "generation-id"))
        is_of_one_event = any(id_ and id_ in self.key for id_ in ids)
        return is_of_one_event or datetime.now(UTC) - begun > _ABANDONED_AFTER

    def _abort(self, upload_id: str) -> None:
        with suppress(ClientError, BotoCoreError):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=self.key, UploadId=upload_id)

    def _checksum(self, *, of: bytes, **modern: str) -> dict[str, Any]:
        """Return the checksum that the store verifies: the *modern* one, unless it supports only MD5."""
        if not self.dialect.md5:
            return dict(modern)
        return {"ContentMD5": b64encode(hashlib.md5(of, usedforsecurity=False).digest()).decode()}

    def _condition(self) -> dict[str, Any]:
        return {"IfNoneMatch": "*"} if self.dialect.conditional else {}

    def _described(self) -> dict[str, Any]:
        """Return what every object has besides its bytes."""
        # Header values are printable ASCII, limited in length.
        printable = {k: re.sub(r"[^ -~]", "?", v)[:_MAX_METADATA_CHARS] for k, v in self.metadata.items()}
        metadata = {**printable, SHA256_METADATA: self.asset.sha256} if self.asset.sha256 else printable
        return {
            "ContentType": self.asset.content_type,
            "ContentDisposition": _DISPOSITION,
            "Metadata": metadata,
            **self.options.parameters(metadata),
        }


@contextmanager
def _taken(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error_code(error) in _TAKEN:
            raise KeyTaken(key) from error
        raise


def _sha256(asset: Fetched) -> str:
    return b64encode(bytes.fromhex(asset.sha256)).decode()


def _base64(crc32: int) -> str:
    return b64encode(crc32.to_bytes(4, "big")).decode()


def told(head: Mapping[str, Any], wanted: str = SHA256_METADATA) -> str:
    """Return what an object's metadata say, such as its digest; empty if they do not.

    Proxies change the case of header names: those in Go write `X-Amz-Meta-Sha256`.
    """
    metadata: Mapping[str, str] = head.get("Metadata") or {}
    return next((value for name, value in metadata.items() if name.lower() == wanted), "")


def error_code(error: ClientError) -> str:
    """Return S3's own name for *error*, or the HTTP status if its answer had no body."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))
