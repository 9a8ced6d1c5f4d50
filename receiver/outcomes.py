"""The outcomes of one attempt: values, so that callers must handle them."""

from dataclasses import dataclass, field
from typing import Final

MAX_SAID_BYTES: Final = 2_048
"""How many bytes of the answer to a failed attempt are kept."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination confirmed that it holds the message."""

    receipt: str = ""
    """The destination's own name for what it stored (stream entry id, message id); may be empty."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Failed for now; the same message may succeed later."""

    error: str
    """One line for an operator: no secret, no query string."""
    after_s: float | None = None
    """Seconds the other side asked us to wait (`Retry-After`), or None to back off as configured."""
    said: bytes = field(default=b"", compare=False, repr=False)
    """How the body of its answer begins, `MAX_SAID_BYTES` at most."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Failed for good: the other side refused this message permanently. It becomes a dead letter."""

    error: str
    """One line for an operator: no secret, no query string."""
    said: bytes = field(default=b"", compare=False, repr=False)
    """How the body of its answer begins, `MAX_SAID_BYTES` at most."""


Outcome = Delivered | Retry | GivenUp


@dataclass(frozen=True, slots=True)
class Parked:
    """Failed for now, but not because of the message: the whole destination is down.

    No destination returns this. A caller that sees all outcomes of a batch may turn a `Retry` into it.
    """

    error: str
    """One line for an operator: no secret, no query string."""
    after_s: float
    """Seconds until the message may be tried again."""
    said: bytes = field(default=b"", compare=False, repr=False)
    """How the body of the answer begins."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """What is kept of a failed attempt, for people to read."""

    began_ms: int
    """Milliseconds since the epoch."""
    took_ms: int
    error: str
    said: bytes = field(default=b"", repr=False)
    """How the body of the answer began. It may hold anything: the store makes it safe to show."""


Judged = Outcome | Parked
"""An outcome, once we know whose fault it is."""
