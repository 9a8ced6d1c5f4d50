"""How often to look at a generation, and for how long."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from receiver.client.errors import GenerationFailed, NotFound, WaitTimeout
from receiver.client.results import Generation

_NOT_YET_VISIBLE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Cadence:
    """Times between two looks, and the default patience, in seconds."""

    first_s: float
    longest_s: float
    timeout_s: float
    factor: float = 1.5


IMAGE: Final = Cadence(first_s=2, longest_s=10, timeout_s=300)
VIDEO: Final = Cadence(first_s=5, longest_s=15, timeout_s=1200)
_BY_TYPE: Final[Mapping[str | None, Cadence]] = {"image": IMAGE, "video": VIDEO}


class Watch:
    """One wait for one generation: pure bookkeeping, given the time."""

    def __init__(self, target: Generation | str, *, now: float, timeout_s: float | None) -> None:
        self.id = target if isinstance(target, str) else target.id
        self.last = None if isinstance(target, str) else target
        self._started = self._seen = now
        self._timeout_s = timeout_s
        self._begun = False
        self._interval_s = 0.0 if self.last is None else self._cadence.first_s

    def pause_s(self, now: float) -> float:
        """Return how long to sleep before the next look, which is never after the deadline.

        Raises:
            WaitTimeout: the look at the deadline has been taken.
        """
        # A clock that was set back makes nobody wait for the difference.
        self._started -= max(self._seen - now, 0.0)
        self._seen = now
        left = self.deadline - now
        if left <= 0 and (self._begun or now > self._started):
            raise self.timed_out(now)
        self._begun = True
        pause = min(self._interval_s, max(left, 0.0))
        self._interval_s = min(
            max(self._interval_s * self._cadence.factor, self._cadence.first_s), self._cadence.longest_s
        )
        return pause

    def may_be_invisible(self, now: float) -> bool:
        """Tell whether a 404 can still mean that the provider is not ready to show it."""
        return now - self._started < _NOT_YET_VISIBLE_S

    def saw(self, generation: Generation) -> bool:
        """Note the latest look; tell whether the wait is over."""
        self.last = generation
        return generation.finished

    def result(self, *, raise_on_failed: bool) -> Generation:
        """Return the finished generation, or refuse a failed one.

        Raises:
            GenerationFailed: it failed and *raise_on_failed*.
        """
        assert self.last is not None
        if raise_on_failed and self.last.status == "failed":
            raise GenerationFailed(self.last)
        return self.last

    @property
    def pending(self) -> bool:
        """Whether it was not finished when last seen."""
        return self.last is None or not self.last.finished

    def timed_out(self, now: float) -> WaitTimeout:
        """Return the error for a wait that ends now."""
        return WaitTimeout(self.id, last=self.last, waited_s=now - self._started)

    @property
    def deadline(self) -> float:
        """When the last look is due. The type may only be known after the first, and videos take longer."""
        return self._started + (self._cadence.timeout_s if self._timeout_s is None else self._timeout_s)

    @property
    def _cadence(self) -> Cadence:
        return _BY_TYPE.get(self.last.type if self.last else None, IMAGE)


class Group:
    """One wait for many generations, each with its own deadline: pure bookkeeping, given the time."""

    def __init__(self, targets: Iterable[Generation | str], *, now: float, timeout_s: float | None) -> None:
        watches = (Watch(target, now=now, timeout_s=timeout_s) for target in targets)
        self._pending = {watch.id: watch for watch in watches}
        self._overdue: dict[str, Watch] = {}
        self._missing: dict[str, NotFound] = {}

    @property
    def pending(self) -> tuple[Watch, ...]:
        """What is still waited for."""
        return tuple(self._pending.values())

    @property
    def deadline(self) -> float:
        """When the first of those that are waited for is overdue."""
        return min((watch.deadline for watch in self.pending), default=math.inf)

    def finished_before(self) -> list[Generation]:
        """Return what was finished before the wait began, and wait for it no longer."""
        finished = [watch.last for watch in self.pending if watch.last is not None and not watch.pending]
        for generation in finished:
            del self._pending[generation.id]
        return finished

    def in_turn(self, watches: Iterable[Watch], most: int) -> list[Watch]:
        """Return as many of *watches*, those looked at longest ago first."""
        chosen = list(watches)[:most]
        for watch in chosen:
            self._pending[watch.id] = self._pending.pop(watch.id)
        return chosen

    def pause_s(self, now: float) -> float:
        """Return how long to sleep before the next look; what is overdue is waited for no longer."""
        pauses = [self._pause_of(watch, now) for watch in self.pending]
        return min((pause for pause in pauses if pause is not None), default=0.0)

    def saw(self, generation: Generation) -> bool:
        """Note the latest look at one; tell whether it is newly finished."""
        watch = self._pending.get(generation.id)
        if watch is None or not watch.saw(generation):
            return False
        del self._pending[generation.id]
        return True

    def lacks(self, watch: Watch, error: NotFound) -> None:
        """Wait no longer for one that does not exist."""
        del self._pending[watch.id]
        self._missing[watch.id] = error

    def check(self, now: float) -> None:
        """Say what does not exist, or was not finished in time.

        Raises:
            NotFound: it names those that do not exist, and in a note those that were not finished.
            WaitTimeout: `pending` names all of them.
        """
        if self._missing:
            raise self._not_found() from next(iter(self._missing.values()))
        for watch in self._overdue.values():
            error = watch.timed_out(now)
            raise WaitTimeout(
                watch.id, last=watch.last, waited_s=error.waited_s, pending=tuple(self._overdue)
            )

    def _not_found(self) -> NotFound:
        first = next(iter(self._missing.values()))
        error = NotFound(
            f"there is no generation {', '.join(self._missing)} in this account: {first.message}",
            code=first.code,
            details=first.details,
            request_id=first.request_id,
            documented=first.documented,
        )
        if self._overdue:
            error.add_note(f"Not finished in time: {', '.join(self._overdue)}")
        return error

    def _pause_of(self, watch: Watch, now: float) -> float | None:
        try:
            return watch.pause_s(now)
        except WaitTimeout:
            self._overdue[watch.id] = self._pending.pop(watch.id)
            return None
