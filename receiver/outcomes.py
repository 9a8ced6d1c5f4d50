"""What one attempt at a piece of work came to: values, so that callers must look at them."""

from dataclasses import dataclass, field
from typing import Final

MAX_SAID_BYTES: Final = 2_048
"""So much is kept of what the other side says to a failed attempt."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination confirmed that it holds the message."""

    receipt: str = ""
    """The destination's own name for what it stored (stream entry id, message id); may be empty."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not this time; the same message may succeed later."""

    error: str
    """One line for an operator: no secret, no query string."""
    after_s: float | None = None
    """Seconds the other side asked us to wait (`Retry-After`), or None to back off as configured."""
    said: bytes = field(default=b"", compare=False, repr=False)
    """How the body of its answer begins, `MAX_SAID_BYTES` at most."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Never: the other side refused this message permanently. It becomes a dead letter."""

    error: str
    """One line for an operator: no secret, no query string."""
    said: bytes = field(default=b"", compare=False, repr=False)
    """How the body of its answer begins, `MAX_SAID_BYTES` at most."""


Outcome = Delivered | Retry | GivenUp


@dataclass(frozen=True, slots=True)
class Parked:
    """Not this time, through no fault of the message: the destination as a whole does not work.

    No destination returns it: a caller that sees all its outcomes may make it of a `Retry`.
    """

    error: str
    """One line for an operator: no secret, no query string."""
    after_s: float
    """Seconds until the message may be tried again."""
    said: bytes = field(default=b"", compare=False, repr=False)
    """How the body of the answer begins."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """What is kept of an attempt that came to nothing, for people to see."""

    began_ms: int
    """Milliseconds since the epoch."""
    took_ms: int
    error: str
    said: bytes = field(default=b"", repr=False)
    """How the body of the answer began. It may hold anything: the store makes it fit to be shown."""


Judged = Outcome | Parked
"""An outcome, once it is known whose fault it is."""
