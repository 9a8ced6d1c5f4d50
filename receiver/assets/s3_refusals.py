"""What a store's refusal means for an operator: the setting to change, and the store's own words."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import ClientError

from receiver.assets.s3_upload import error_code
from receiver.errors import BucketUnavailable, ConfigError

CREDENTIALS: Final = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or another source boto3 knows)"
CONDITIONAL_WRITES: Final = "s3_conditional_writes"
CHECKSUMS: Final = "s3_checksums"
ADDRESS: Final = "assets_url"
NO_SUCH_BUCKET: Final = "no such bucket; create it, or correct the name"

DENIED: Final = frozenset(("403", "AccessDenied"))
NOT_THERE: Final = frozenset(("404", "NoSuchKey"))

_MAY_PASS: Final = frozenset((408, 409, 425, 429))
"""Statuses below 500 that do not point to a setting."""
_NOT_BUILT: Final = 501
_CRASHED: Final = 500
"""Answers of some stores to an unknown header."""
_MAX_WORDS: Final = 300
_OTHER_REGION: Final = ("the bucket is in another region", "s3_region")
_UNKNOWN: Final = ("the store refuses what an asset needs", ADDRESS)

# What to change, and in which setting, by the error code of the store's answer.
_PLAIN: Final[dict[str, tuple[str, ...]]] = {
    "NoSuchBucket": (NO_SUCH_BUCKET, ADDRESS),
    "InvalidBucketName": ("S3 refuses this bucket name", ADDRESS),
    "InvalidStorageClass": ("the store does not know this class", "s3_storage_class"),
    "InvalidTag": ("the store refuses them", "s3_tags"),
    "KMS.NotFoundException": ("no such key in the bucket's region", "s3_kms_key_id"),
    "KMS.DisabledException": ("the key is disabled", "s3_kms_key_id"),
    "KMS.KMSInvalidStateException": ("the key is pending deletion, or unusable", "s3_kms_key_id"),
    "InvalidAccessKeyId": (f"unknown access key: check {CREDENTIALS}",),
    "XAdminUserNotFound": (f"unknown access key: check {CREDENTIALS}",),  # versitygw
    "SignatureDoesNotMatch": (f"wrong secret key: check {CREDENTIALS}",),
    "ExpiredToken": (f"expired credentials: renew {CREDENTIALS}",),
    "InvalidToken": (f"invalid session token: check AWS_SESSION_TOKEN with {CREDENTIALS}",),
    "RequestTimeTooSkewed": ("the clock of this machine and that of the store are too far apart",),
    "PermanentRedirect": _OTHER_REGION,
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "IllegalLocationConstraintException": _OTHER_REGION,
}
# The same by the text, for a store with one code for everything forbidden (Garage).
_FORBIDDEN: Final = {
    "signature": _PLAIN["SignatureDoesNotMatch"],
    "no such key": _PLAIN["InvalidAccessKeyId"],
    "quota": ("no space is left there", ADDRESS),
}
_NO_RIGHT: Final = (
    (
        "no permission to write there. Permissions needed: s3:PutObject, s3:GetObject,"
        " s3:AbortMultipartUpload; s3:PutObjectTagging for tags;"
        " kms:GenerateDataKey, kms:Decrypt for a KMS key"
    ),
    ADDRESS,
)
_NOT_READ: Final = (
    "no permission to read back what was uploaded (s3:GetObject; kms:Decrypt for a KMS key)",
    ADDRESS,
)
_BY_SETTING: Final = {
    CONDITIONAL_WRITES: "the store refuses If-None-Match but accepts uploads without it; set it to false:"
    " each object then gets a name of its own",
    CHECKSUMS: "the store refuses SHA-256 and CRC-32 checksums but accepts MD5; set it to md5",
}


@dataclass(frozen=True, slots=True)
class Refusals:
    """Explains the refusals of one bucket."""

    bucket: str
    hidden: Callable[[], Iterable[str]]
    """Returns the credentials, which must not be quoted."""

    def is_plain(self, error: ClientError) -> bool:
        """Whether the code alone says what to change."""
        return error_code(error) in _PLAIN

    def refusal(self, error: ClientError) -> ConfigError | BucketUnavailable:
        """Return the meaning of *error* at start: a wrong setting, or a store that does not work now."""
        code = error_code(error)
        if code in _PLAIN:
            return self._wrong(_PLAIN[code], error)
        if _is_final(error):
            return self._wrong(_forbidden(error) if code in DENIED else _UNKNOWN, error)
        return BucketUnavailable(self.words(error))

    def refusal_of(self, error: ClientError, setting: str) -> ConfigError:
        """Return the meaning of *error* if the store is known to reject *setting*."""
        advice = _BY_SETTING.get(setting, "the store refuses uploads with it but accepts them without")
        return self._wrong((advice, setting), error)

    def refusal_to_read(self, error: ClientError) -> ConfigError | BucketUnavailable:
        """Return the meaning of *error* when reading a new object."""
        return self._wrong(_NOT_READ, error) if error_code(error) in DENIED else self.refusal(error)

    def words(self, error: ClientError) -> str:
        """Return the store's words, without credentials and query strings."""
        code, message = error_code(error), _message(error)
        for secret in filter(None, self.hidden()):
            message = message.replace(secret, "***")
        message = re.sub(r"\?\S*", "?***", re.sub(r"[^\x20-\x7e]+", " ", message)).strip()[:_MAX_WORDS]
        status = str(_status(error))
        text = f"S3 {error.operation_name}: {code if code == status else f'{status} {code}'}"
        return f"{text}: {message}" if message and message != code else text

    def _wrong(self, advice: tuple[str, ...], error: ClientError) -> ConfigError:
        problem, *setting = advice
        return ConfigError(f"{problem} ({self.bucket}: {self.words(error)})", *setting)


def _forbidden(error: ClientError) -> tuple[str, ...]:
    words = _message(error).lower()
    return next((advice for word, advice in _FORBIDDEN.items() if word in words), _NO_RIGHT)


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


def may_be_a_setting(error: ClientError) -> bool:
    """Whether leaving out an option may help."""
    return _is_final(error) or _status(error) == _CRASHED


def _is_final(error: ClientError) -> bool:
    status = _status(error)
    return (400 <= status < _CRASHED and status not in _MAY_PASS) or status == _NOT_BUILT  # noqa: PLR2004  HTTP's


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
