"""What a host's refusal says about a signed URL, in each vendor's words.

The status says little: an expired URL is 400 at Google, 401 at Backblaze, 403 at Amazon, Azure and Alibaba.

Sources: https://cloud.google.com/storage/docs/xml-api/reference-status,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
https://learn.microsoft.com/en-us/rest/api/storageservices/common-rest-api-error-codes,
https://www.backblaze.com/docs/cloud-storage-native-api-errors
"""

import re
from typing import Final

MAX_SAID_BYTES: Final = 16 * 1024
"""How many bytes of a refusal are read."""

_SUBJECT: Final = rb"(?:link|url|token|jwt|signature|request|policy|credentials?|key|session)"
_NO_NAME: Final = rb"(?!\"?\s*:)"
"""Not the name of a JSON member: its value decides."""
_EXPIRED: Final = re.compile(
    rb"|".join(
        (
            rb"\b(?:has|have|is|was|are|been|already|" + _SUBJECT + rb")[ _-]?expired\b" + _NO_NAME,
            rb"\bexpired[ _-]?(?:[a-z]+[ _-])?" + _SUBJECT + rb"\b",
            # Names of errors, as their libraries write them.
            rb"(?:Jwt|Link|Request|Signature|Token|Url)Expired" + _NO_NAME,
            rb"\bExpired(?:Jwt|Link|Signature|Token|Url)",
            rb"\bAuthenticationFailed\b",  # Azure, for a signature outside its validity
            rb"\bTokenRefreshRequired\b",
            rb'"exp\\?" claim',  # of a JWT
            rb"\A\s*expired[.!]?\s*\Z",
        )
    ),
    re.IGNORECASE,
)
_DENIED: Final = re.compile(
    rb"\b(?:AccessDenied|NoSuchKey|BlobNotFound|InvalidToken|SignatureDoesNotMatch)\b"
)
# A web page says "the link may have expired" about everything that is missing.
_PAGE: Final = re.compile(rb"<!doctype html|<html", re.IGNORECASE)


def tells_of_expiry(said: bytes) -> bool:
    """Whether *said*, the body of a refusal, means that its URL will never work again."""
    return not _PAGE.search(said) and _EXPIRED.search(said) is not None


def tells_of_denial(said: bytes) -> bool:
    """Whether *said* is a store's answer for a missing file: not there yet, or no longer."""
    return _DENIED.search(said) is not None
