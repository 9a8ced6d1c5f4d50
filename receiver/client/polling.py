"""How often to poll a generation, and for how long."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from receiver.client.errors import GenerationFailed, NotFound, WaitTimeout
from receiver.client.results import Generation

_NOT_YET_VISIBLE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Cadence:
    """Pauses between polls, and the default timeout, in seconds."""

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
        """Return how long to sleep before the next poll, which is never after the deadline.

        Raises:
            WaitTimeout: the poll at the deadline is done.
        """
        # If the clock was set back, nobody waits for the difference.
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
        """Whether a 404 can still mean that the provider does not show it yet."""
        return now - self._started < _NOT_YET_VISIBLE_S

    def saw(self, generation: Generation) -> bool:
        """Note the latest poll; return whether the wait is over."""
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
        """When the last poll is due. Videos take longer, and the type may be known only after the first."""
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
        """The generations still awaited."""
        return tuple(self._pending.values())

    @property
    def deadline(self) -> float:
        """When the first awaited one is overdue."""
        return min((watch.deadline for watch in self.pending), default=math.inf)

    def finished_before(self) -> list[Generation]:
        """Return those finished before the wait began, and stop waiting for them."""
        finished = [watch.last for watch in self.pending if watch.last is not None and not watch.pending]
        for generation in finished:
            del self._pending[generation.id]
        return finished

    def in_turn(self, watches: Iterable[Watch], most: int) -> list[Watch]:
        """Return that many of *watches*, those polled longest ago first."""
        chosen = list(watches)[:most]
        for watch in chosen:
            self._pending[watch.id] = self._pending.pop(watch.id)
        return chosen

    def pause_s(self, now: float) -> float:
        """Return how long to sleep before the next poll; stop waiting for overdue ones."""
        pauses = [self._pause_of(watch, now) for watch in self.pending]
        return min((pause for pause in pauses if pause is not None), default=0.0)

    def saw(self, generation: Generation) -> bool:
        """Note the latest poll of one; return whether it is newly finished."""
        watch = self._pending.get(generation.id)
        if watch is None or not watch.saw(generation):
            return False
        del self._pending[generation.id]
        return True

    def lacks(self, watch: Watch, error: NotFound) -> None:
        """Stop waiting for one that does not exist."""
        del self._pending[watch.id]
        self._missing[watch.id] = error

    def check(self, now: float) -> None:
        """Raise for those that do not exist, or did not finish in time.

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
