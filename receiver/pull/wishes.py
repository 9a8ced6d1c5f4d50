"""What a consumer's request asks for, checked: nothing unknown is overlooked."""

from typing import Annotated, Final

from pydantic import Field

from receiver.admin.parameters import Body
from receiver.store.future import LONGEST_WAIT_MS
from receiver.store.pull import Held
from receiver.telemetry.redact import redact

MOST_MESSAGES: Final = 100
LONGEST_POLL_S: Final = 60.0
_LONGEST_S: Final = LONGEST_WAIT_MS / 1000
_MOST_IDS: Final = 1_000
_MOST_ERROR_CHARS: Final = 1_000

_Visibility = Annotated[float, Field(gt=0, le=_LONGEST_S)]


class Lease(Body):
    """How many messages are wanted, for how long, and how long to wait for the first. Times in seconds."""

    max: int = Field(10, ge=1, le=MOST_MESSAGES)
    visibility_s: _Visibility | None = None
    """None: the destination's own."""
    wait_s: float = Field(0.0, ge=0, le=LONGEST_POLL_S)


class Acknowledgement(Body):
    """Which messages are done with."""

    lease: str | None
    """As an answer gave it: None of one without messages."""
    ids: Annotated[list[str], Field(max_length=_MOST_IDS)] | None = None
    """None: all of the lease."""

    def held_at(self, destination: str) -> Held | None:
        """Return the messages that are meant; None for an answer without messages."""
        if self.lease is None:
            return None
        ids = None if self.ids is None else [_plain(one) for one in self.ids]
        return Held(destination, _plain(self.lease), ids)


class Extension(Acknowledgement):
    """Which messages are to be held, and for how many more seconds from now on."""

    visibility_s: _Visibility | None = None
    """None: the destination's own."""


class Return(Acknowledgement):
    """Which messages are given back, after how many seconds they are due, and why."""

    delay_s: float = Field(0.0, ge=0, le=_LONGEST_S)
    error: str = "given back by its consumer"

    @property
    def reason(self) -> str:
        """Why, as it is kept."""
        return redact(self.error)[:_MOST_ERROR_CHARS]


def _plain(text: str) -> str:
    """Return *text* in a form that any database can search for: ids contain only valid characters."""
    return text.encode("ascii", "replace").decode().replace("\0", "?")
