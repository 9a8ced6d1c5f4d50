"""Options of every object in S3: encryption, storage class, tags."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self
from urllib.parse import urlencode

from receiver.errors import ConfigError, variable

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
_MAX_TAGS: Final = 10
_MAX_TAG_KEY: Final = 128
_MAX_TAG_VALUE: Final = 256
_TAG_TEXT: Final = re.compile(r"[\w +\-=.:/@]*")
_TAG_FIELDS: Final = {
    "{event_id}": ("event-id", 36),
    "{generation_id}": ("generation-id", 128),
    "{source}": ("source", 63),
    "{sha256}": ("sha256", 64),
}
"""Fields of a tag's value: the name of each in the metadata, and its maximum length."""

_STORAGE_CLASS: Final = re.compile(r"[A-Z0-9_-]{1,64}")
_KMS: Final = "aws:kms"
_SETTINGS: Final = {
    "ServerSideEncryption": "s3_sse",
    "SSEKMSKeyId": "s3_kms_key_id",
    "StorageClass": "s3_storage_class",
}
TAGS: Final = "s3_tags"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the store supports of S3's protocol."""

    conditional: bool = True
    """Whether it honours `If-None-Match`. If not, each object gets a name unique to its event."""
    md5: bool = False
    """Whether to send MD5 checksums, which S3 has always accepted, instead of SHA-256 and CRC-32."""


@dataclass(frozen=True, slots=True)
class ObjectOptions:
    """Parameters of PutObject and CreateMultipartUpload."""

    fixed: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(
        cls,
        *,
        sse: str | None = None,
        kms_key_id: str | None = None,
        storage_class: str | None = None,
        tags: Iterable[str] = (),
    ) -> Self:
        """Read the settings.

        Raises:
            ConfigError: one is malformed, or conflicts with another; the message names it.
        """
        if kms_key_id and sse != _KMS:
            raise ConfigError(f"set {variable('s3_sse')}={_KMS}, too", "s3_kms_key_id")
        if storage_class and not _STORAGE_CLASS.fullmatch(storage_class):
            raise ConfigError("write a storage class such as STANDARD_IA", "s3_storage_class")
        wanted = {"ServerSideEncryption": sse, "SSEKMSKeyId": kms_key_id, "StorageClass": storage_class}
        return cls({name: value for name, value in wanted.items() if value}, _tags(tags))

    @property
    def has_digest(self) -> bool:
        """Whether a tag is only known once the whole asset is."""
        return any("{sha256}" in value for value in self.tags.values())

    def parameters(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """Return the parameters for one object with this *metadata*."""
        if not self.tags:
            return dict(self.fixed)
        filled = {key: _filled(value, metadata) for key, value in self.tags.items()}
        return {**self.fixed, "Tagging": urlencode(filled)}

    def lost(self, head: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
        """Return the settings that an object lacks, except tags.

        Its *head* must confirm each; the *answer* to its upload mentions some, and must not contradict.
        """
        return [
            _SETTINGS[name]
            for name, asked in self.fixed.items()
            if not _is_kept(name, asked, head) or (name in answer and not _is_kept(name, asked, answer))
        ]

    def each_left_out(self) -> Iterator[tuple[str, Self]]:
        """Return the settings in use, each with the options that remain without it."""
        for name in reversed(list(self.fixed)):
            # A KMS key belongs to its kind of encryption.
            without = {"ServerSideEncryption": ("ServerSideEncryption", "SSEKMSKeyId")}.get(name, (name,))
            left = {each: value for each, value in self.fixed.items() if each not in without}
            yield _SETTINGS[name], replace(self, fixed=left)
        if self.tags:
            yield TAGS, replace(self, tags={})


def _is_kept(name: str, asked: str, told: Mapping[str, Any]) -> bool:
    found = str(told.get(name) or "")
    if name == "SSEKMSKeyId":
        # The answer is an ARN; an alias is not in it.
        return bool(found) and ("alias/" in asked or _last(found) == _last(asked))
    if name == "StorageClass":
        return (found or "STANDARD") == asked
    return found == asked


def _last(key_id: str) -> str:
    return re.split("[/:]", key_id)[-1]


def _tags(entries: Iterable[str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for entry in entries:
        key, separator, value = (part.strip() for part in entry.partition("="))
        if not separator or not key:
            raise ConfigError(f"{entry!r} is not of the form key=value", TAGS)
        if key in tags:
            raise ConfigError(f"{key!r} appears twice", TAGS)
        _require_tag(key, value)
        tags[key] = value
    if len(tags) > _MAX_TAGS:
        raise ConfigError(f"S3 allows {_MAX_TAGS} tags, not {len(tags)}", TAGS)
    return tags


def _require_tag(key: str, value: str) -> None:
    longest = value
    for name, (_, length) in _TAG_FIELDS.items():
        longest = longest.replace(name, "x" * length)
    if len(key) > _MAX_TAG_KEY or len(longest) > _MAX_TAG_VALUE:
        raise ConfigError(
            f"the tag {key[:40]!r} is longer than S3 allows"
            f" ({_MAX_TAG_KEY} characters, its value {_MAX_TAG_VALUE})",
            TAGS,
        )
    if key.lower().startswith("aws:"):
        raise ConfigError("a key that begins with aws: is reserved by S3", TAGS)
    if not _TAG_TEXT.fullmatch(key) or not _TAG_TEXT.fullmatch(longest):
        fields = ", ".join(_TAG_FIELDS)
        raise ConfigError(
            f"the tag {key[:40]!r} may hold letters, digits, blanks and + - = . _ : / @,"
            f" its value also {fields}",
            TAGS,
        )


def _filled(value: str, metadata: Mapping[str, str]) -> str:
    for name, (metadata_name, _) in _TAG_FIELDS.items():
        value = value.replace(name, metadata.get(metadata_name, ""))
    return value
