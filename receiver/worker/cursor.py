"""How far a source has been reconciled, as saved between passes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import orjson

from receiver.worker.sweep import Sweep

MARGIN_MS: Final = 60_000
"""How far below the low-water mark a sweep goes, for clock differences and late listings."""
_APART_AFTER_MS: Final = 3_600_000
_GIVEN_UP_AFTER_MS: Final = 7 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything created before `low_water_ms` has its event, except what is `watched`."""

    low_water_ms: int
    """Milliseconds since the epoch."""
    length: int = 0
    """The length of the list; only measured if it is oldest first."""
    watched: Mapping[str, int] = field(default_factory=dict)
    """Generations long unfinished, with their creation times: checked one by one, in this order."""
    sweep: Sweep | None = None
    """A sweep that ran out of requests."""

    @classmethod
    def load(cls, text: str | None, *, otherwise_ms: int) -> Self:
        """Parse what `dump` wrote; start at *otherwise_ms* if it cannot be parsed."""
        try:
            kept: dict[str, Any] = orjson.loads(text or "")
            sweep = kept.pop("sweep")
            return cls(**kept, sweep=sweep and Sweep(**sweep))
        except (ValueError, TypeError, KeyError, AttributeError):
            # Written by another release. Reading more than needed does no harm.
            return cls(otherwise_ms)

    def dump(self) -> str:
        """Return the cursor as text."""
        kept = {"low_water_ms": self.low_water_ms, "length": self.length, "watched": dict(self.watched)}
        return orjson.dumps({**kept, "sweep": self.sweep and self.sweep.state()}).decode()

    def next_sweep(self, now_ms: int) -> Sweep:
        """Return the sweep to continue, or a new one."""
        return self.sweep or Sweep(self.low_water_ms - MARGIN_MS, now_ms, self.length)

    def after(self, sweep: Sweep) -> Self:
        """Return the cursor for when *sweep* is finished.

        Recent unfinished generations hold the low-water mark down; old ones would do so forever.
        """
        reached = self.low_water_ms if sweep.low_water_ms is None else sweep.low_water_ms
        young = {id_: at for id_, at in sweep.waiting.items() if at and at > reached - _APART_AFTER_MS}
        old = {id_: at or reached for id_, at in sweep.waiting.items() if id_ not in young}
        return replace(
            self,
            low_water_ms=min([reached, *young.values()]),
            length=sweep.length,
            watched={**self.watched, **old},
            sweep=None,
        )

    def watching(self, looked_at: Iterable[str], dropped: Iterable[str], *, now_ms: int) -> Self:
        """Return the cursor with *looked_at* last in line, without *dropped* and what will never finish."""
        left = {id_: at for id_, at in self.watched.items() if at > now_ms - _GIVEN_UP_AFTER_MS}
        again = {id_: left.pop(id_) for id_ in looked_at if id_ in left}
        gone = set(dropped)
        return replace(self, watched={id_: at for id_, at in (left | again).items() if id_ not in gone})
