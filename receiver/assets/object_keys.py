"""The keys of mirrored assets in a bucket."""

import hashlib
import re
from pathlib import PurePosixPath
from typing import Final

MAX_KEY_BYTES: Final = 1024
"""S3's limit."""

_SEGMENT: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:=+@-]{1,200}")
_DIGEST_CHARS: Final = 16


def require_safe(key: str) -> None:
    """Refuse a *key* that could leave its prefix, or that file systems and S3 would interpret differently.

    Raises:
        ValueError: it is empty, absolute, too long, or a segment holds more than plain ASCII name characters.
    """
    if not is_safe(key):
        raise ValueError(f"not a safe asset key: {key[:80]!r}")


def is_safe(key: str) -> bool:
    """Whether *key* is safe."""
    return len(key) <= MAX_KEY_BYTES and all(map(_SEGMENT.fullmatch, key.split("/")))


def beside(key: str, sha256: str) -> str:
    """Return the key for a different file than the one under *key*: its name contains the digest."""
    path = PurePosixPath(key)
    return str(path.with_name(f"{path.stem}-{sha256[:_DIGEST_CHARS]}{path.suffix}"))


def of_its_own(key: str, sha256: str, event_id: str) -> str:
    """Return a key unique to these bytes of this event; *key* itself, if it is that already."""
    path = PurePosixPath(key)
    mark = f"-{hashlib.sha256(f'{event_id} {sha256}'.encode()).hexdigest()[: 2 * _DIGEST_CHARS]}"
    return key if path.stem.endswith(mark) else str(path.with_name(f"{path.stem}{mark}{path.suffix}"))
