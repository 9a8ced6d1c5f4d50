"""The keys of mirrored assets in a bucket."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Self

from receiver.assets import Fetched
from receiver.assets.media import MEDIA_TYPES
from receiver.events import Event

MAX_KEY_BYTES: Final = 1024
"""S3's limit."""

_SEGMENT: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:=+@-]{1,200}")
_DIGEST_CHARS: Final = 16
DEFAULT_KEY: Final = "{source}/{kind}/{year}/{month}/{day}/{generation_id}.{extension}"

# Each field at its longest. Only our own words and checked ids enter a key, never a part of the URL.
_LONGEST: Final = {
    "source": "s" * 63,
    "kind": "unknown",
    "year": "2025",
    "month": "01",
    "day": "09",
    "generation_id": "g" * 128,
    "event_id": "e" * 36,
    "sha256": "f" * 64,
    "extension": "webp",
}
_UNIQUE: Final = ("generation_id", "event_id", "sha256")
_FIELD: Final = re.compile(r"\{([a-z0-9_]*)\}")
_DOTS: Final = frozenset((".", ".."))


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


@dataclass(frozen=True, slots=True)
class KeyTemplate:
    """A checked template with fields in braces, made by `parse`."""

    text: str = DEFAULT_KEY

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a template. Refuse it now if any asset could get an unsafe name, or another asset's.

        Raises:
            ValueError: the message says what is wrong with it and which fields there are.
        """
        unknown = [name for name in _FIELD.findall(text) if name not in _LONGEST]
        if unknown:
            raise ValueError(f"{{{unknown[0]}}} is not a field; {_fields()}")
        if not any(f"{{{name}}}" in text for name in _UNIQUE):
            wanted = ", ".join(f"{{{name}}}" for name in _UNIQUE)
            raise ValueError(f"two assets would get the same name: use one of {wanted}; {_fields()}")
        try:
            longest = _FIELD.sub(lambda field: _LONGEST[field[1]], text)
            require_safe(longest)
            require_safe(beside(longest, _LONGEST["sha256"]))
        except ValueError:
            raise ValueError(
                "between slashes there must be 1 to 200 letters, digits and ._:=+@-, also once the fields"
                f" are filled in at their longest; {_fields()}"
            ) from None
        return cls(text)

    @property
    def has_digest(self) -> bool:
        """Whether a name is only known once the whole asset is."""
        return "{sha256}" in self.text

    def key(self, event: Event, *, event_id: str, received_ms: int, asset: Fetched) -> str:
        """Name *asset*, deterministically, so that a second attempt finds what the first one stored.

        The day is that of the message's `time`, in UTC.
        """
        year, month, day = event.occurred_at(received_ms)[:10].split("-")
        id_ = event.generation_id
        fields = {
            "source": event.source,
            "kind": event.kind,
            "year": year,
            "month": month,
            "day": day,
            "generation_id": f"_{id_}" if id_ in _DOTS else id_,  # a folder of that name would be another
            "event_id": event_id,
            "sha256": asset.sha256,
            "extension": MEDIA_TYPES[asset.content_type],
        }
        return self.text.format_map(fields)  # `parse` let no other braces through


def _fields() -> str:
    return "the fields are " + ", ".join(f"{{{name}}}" for name in _LONGEST)
