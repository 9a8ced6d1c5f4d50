"""Test at start what every upload needs, so that an unsuitable store is found before it loses anything.

S3-compatible stores differ: some ignore `If-None-Match`, some accept encryption, a class or tags but store
none. So markers are uploaded with the parameters of an asset, once whole and once in parts, and then again
under the same name. Then they are inspected. docs/stores.md has the results.
"""

import hashlib
import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from receiver.assets import Fetched
from receiver.assets.s3_options import TAGS, Dialect, ObjectOptions
from receiver.assets.s3_refusals import (
    ADDRESS,
    CHECKSUMS,
    CONDITIONAL_WRITES,
    DENIED,
    NO_SUCH_BUCKET,
    NOT_THERE,
    Refusals,
    may_be_a_setting,
)
from receiver.assets.s3_upload import KeyTaken, Upload, error_code, told
from receiver.errors import BucketUnavailable, ConfigError, variable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Form = Literal["whole", "in parts"]

_MARKERS: Final = ".receiver-check"
_MARKER: Final = b"receiver looks whether it can keep assets here: "
_MARKER_OF: Final = {
    "event-id": "receiver-check",
    "generation-id": "receiver-check",
    "source": "receiver-check",
}
_PART_BYTES: Final = 5 * 1024 * 1024
_SETTLING_S: Final = (0.1, 0.4, 1.0)
"""Pauses in which a new object may appear."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Trial:
    """One test of everything that an upload needs, under unique names."""

    client: "S3Client"
    bucket: str
    prefix: str
    """Ends in a slash, or is empty."""
    options: ObjectOptions
    dialect: Dialect
    refusals: Refusals

    def run(self) -> None:
        """Upload markers, inspect them, and remove them.

        Raises:
            ConfigError: the store cannot store assets as configured; the message names the setting.
            BucketUnavailable: the store does not work now.
            ClientError, BotoCoreError: it was not reached yet.
        """
        self._require_bucket()
        folder = f"{self.prefix}{_MARKERS}/{secrets.token_hex(8)}"
        put: list[str] = []
        try:
            with TemporaryDirectory(prefix="receiver-check-") as scratch:
                markers = _markers(Path(scratch))
                for form in ("whole", "in parts"):
                    self._try(form, f"{folder}/{form.replace(' ', '-')}.png", *markers, put)
        finally:
            self._remove(put)

    def _require_bucket(self) -> None:
        try:
            self.client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if error_code(error) == "404":
                raise self._missing() from error
            # The following upload explains any other refusal: an answer to HEAD has no text.

    def _missing(self) -> ConfigError | BucketUnavailable:
        """Say why HEAD finds no bucket: some stores also answer so to an unknown access key."""
        try:
            self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)
        except ClientError as error:
            if error_code(error) not in NOT_THERE | DENIED:
                return self.refusals.refusal(error)
        return ConfigError(f"{NO_SUCH_BUCKET} ({self.bucket})", ADDRESS)

    def _try(self, form: Form, key: str, first: Fetched, second: Fetched, put: list[str]) -> None:
        answer: dict[str, Any] = {}
        try:
            # KeyTaken: an answer was lost, and the request repeated; the inspection will tell.
            with suppress(KeyTaken):
                answer = _send(self._upload(key, first), form, put)
            if self.dialect.conditional:
                self._require_refusal(form, self._upload(key, second))
        except ClientError as error:
            raise self._refused(error, form, key, first, put) from error
        head = self._require_kept(key, first, second)
        lost = self.options.lost(head, answer)
        if self.options.tags and head.get("TagCount") != len(self.options.tags) and not self._has_tags(key):
            lost = [*lost, TAGS]
        if lost:
            settings = ", ".join(map(variable, lost))
            raise ConfigError(f"{settings}: the store accepts it, but the object has none ({self.bucket})")

    def _upload(
        self, key: str, marker: Fetched, options: ObjectOptions | None = None, dialect: Dialect | None = None
    ) -> "_MarkerUpload":
        return _MarkerUpload(
            self.client,
            self.bucket,
            key,
            marker,
            _MARKER_OF,
            options or self.options,
            dialect or self.dialect,
        )

    def _require_refusal(self, form: Form, upload: "_MarkerUpload") -> None:
        try:
            upload.send(form)
        except KeyTaken:
            return
        raise self._ignored(form)

    def _ignored(self, form: Form) -> ConfigError:
        return ConfigError(
            f"the store ignores If-None-Match of uploads {form}, so that one asset could replace another;"
            f" set it to false: each object then has its own name ({self.bucket})",
            CONDITIONAL_WRITES,
        )

    def _require_kept(self, key: str, first: Fetched, second: Fetched) -> dict[str, Any]:
        try:
            head = look_after_put(self.client, self.bucket, key, ChecksumMode="ENABLED")
        except ClientError as error:
            raise self.refusals.refusal_to_read(error) from error
        digest = told(head)
        if digest == second.sha256:
            raise self._ignored("whole")
        if not digest:
            raise ConfigError(
                "the store, or a proxy in front of it, does not return metadata"
                f" ({self.bucket}: no x-amz-meta-sha256)",
                ADDRESS,
            )
        stored = head.get("ChecksumSHA256", "")
        ours = b64encode(bytes.fromhex(first.sha256)).decode()
        if (digest, head["ContentLength"]) != (first.sha256, first.size_bytes) or (
            stored and "-" not in stored and stored != ours
        ):
            raise ConfigError(f"the store holds different bytes from those uploaded ({self.bucket})", ADDRESS)
        return head

    def _has_tags(self, key: str) -> bool:
        """Whether the object has all its tags, or we may not read them."""
        try:
            found = self.client.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]
        except ClientError as error:
            if not may_be_a_setting(error):
                raise self.refusals.refusal(error) from error
            return error_code(error) in DENIED
        return {tag["Key"] for tag in found} == self.options.tags.keys()

    def _refused(
        self, error: ClientError, form: Form, key: str, marker: Fetched, put: list[str]
    ) -> ConfigError | BucketUnavailable:
        """Say what to change; if the store does not, find out by leaving out one feature after another."""
        refusals = self.refusals
        if refusals.is_plain(error) or not may_be_a_setting(error):
            return refusals.refusal(error)
        setting = self._culprit(form, key, marker, put)
        return refusals.refusal_of(error, setting) if setting else refusals.refusal(error)

    def _culprit(self, form: Form, key: str, marker: Fetched, put: list[str]) -> str | None:
        """Return the setting without which the store accepts the upload."""
        for setting, options, dialect in self._plainer():
            another = f"{key.rpartition('/')[0]}/{secrets.token_hex(4)}.png"
            with suppress(ClientError, KeyTaken):
                _send(self._upload(another, marker, options, dialect), form, put)
                return setting
        return None

    def _plainer(self) -> Iterator[tuple[str, ObjectOptions, Dialect]]:
        for setting, options in self.options.each_left_out():
            yield setting, options, self.dialect
        if self.dialect.conditional:
            yield CONDITIONAL_WRITES, self.options, replace(self.dialect, conditional=False)
        if not self.dialect.md5:
            yield CHECKSUMS, self.options, replace(self.dialect, md5=True)

    def _remove(self, put: Iterable[str]) -> None:
        """Delete the markers. If that fails, a few bytes stay, which does no harm."""
        for key in put:
            try:
                self.client.delete_object(Bucket=self.bucket, Key=key)
            except (ClientError, BotoCoreError) as error:
                code = error_code(error) if isinstance(error, ClientError) else type(error).__name__
                log.warning("marker not removed", bucket=self.bucket, key=key, error=code)
                return


class _MarkerUpload(Upload):
    """The upload of a marker, in the form to test."""

    __slots__ = ()

    def send(self, form: Form) -> dict[str, Any]:
        return (
            self.put_whole() if form == "whole" else self.put_in_parts(partial(self.send_parts, _PART_BYTES))
        )


def _send(upload: _MarkerUpload, form: Form, put: list[str]) -> dict[str, Any]:
    """Upload a marker, and note in *put* that it may exist."""
    put.append(upload.key)
    try:
        return upload.send(form)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] < HTTPStatus.INTERNAL_SERVER_ERROR:
            put.remove(upload.key)
        raise


class Once:
    """A check that must succeed once; concurrent callers share its result."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tries = 0
        self._failure: Exception | None = None
        self.has_passed = False
        """Whether it ever succeeded."""

    def __call__(self, check: Callable[[], None], *, again: bool = False) -> None:
        """Call *check* unless it passed before; *again* calls it anyway. Raises what *check* raises."""
        seen = self._tries
        with self._lock:
            if self.has_passed and not again:
                return
            if self._tries != seen and self._failure:
                raise self._failure
            self._tries += 1
            try:
                check()
            except Exception as error:
                self._failure = error
                raise
            self.has_passed, self._failure = True, None


def look_after_put(client: "S3Client", bucket: str, key: str, **more: Any) -> dict[str, Any]:
    """Return the head of a new object: some stores show it a moment later."""
    for pause_s in _SETTLING_S:
        try:
            return dict(client.head_object(Bucket=bucket, Key=key, **more))
        except ClientError as error:
            if error_code(error) not in NOT_THERE:
                raise
        time.sleep(pause_s)
    return dict(client.head_object(Bucket=bucket, Key=key, **more))


def _markers(folder: Path) -> tuple[Fetched, Fetched]:
    """Return two small files of equal size and different bytes."""
    made = [_MARKER + secrets.token_hex(8).encode() for _ in range(2)]
    paths = [folder / name for name in ("first", "second")]
    for path, data in zip(paths, made, strict=True):
        path.write_bytes(data)
    first, second = (
        Fetched(path, len(data), hashlib.sha256(data).hexdigest(), "image/png")
        for path, data in zip(paths, made, strict=True)
    )
    return first, second
