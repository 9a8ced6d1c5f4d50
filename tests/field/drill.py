"""A drill: a destination is sent to all the time, something real breaks, and what came of it is a row.

Whatever is not confirmed is sent again after PAUSE_S, as a worker would; a worker that takes the destination
for down waits for longer, up to `breaker_max_s`.
"""

import asyncio
import logging
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import pytest

from receiver.destinations import Destination, Message
from receiver.outcomes import Delivered, GivenUp, Retry
from tests.messages import message

PAUSE_S: Final = 0.2
_REST_S: Final = 0.02
"""Between two batches, so that a drill of a minute leaves no million of messages."""
_BATCH: Final = 5
_ENOUGH: Final = 10
"""So many batches are delivered before something breaks, and after it."""
_AT_MOST_S: Final = 600
_SETTINGS: Final = "RECEIVER_DESTINATIONS__QUEUE"
_numbers = count(1)

Read = Callable[[], Awaitable[Iterable[str]]]
"""Returns the ids of all events that the system holds, repetitions included."""


@dataclass
class Ride:
    """What became of the messages of one drill."""

    delivered: list[str] = field(default_factory=list)
    texts: Counter[str] = field(default_factory=Counter)
    latest: float = 0.0
    silent_s: float | None = None
    """The longest time from the fault on in which nothing got through; None: nothing had to."""

    async def send(self, destination: Destination, batch: list[Message]) -> list[Message]:
        """Send *batch* once; return what is to be sent again."""
        outcomes = await destination.send(batch)
        of = list(zip(batch, outcomes, strict=True))
        self.texts.update(each.error for each in outcomes if isinstance(each, Retry | GivenUp))
        if delivered := [message.id for message, outcome in of if isinstance(outcome, Delivered)]:
            self.delivered += delivered
            self.note()
        return [message for message, outcome in of if isinstance(outcome, Retry)]

    def breaks(self) -> None:
        """Say that the fault begins now."""
        self.latest, self.silent_s = time.monotonic(), 0.0

    def note(self) -> None:
        """Say that the silence is over."""
        now = time.monotonic()
        if self.silent_s is not None:
            self.silent_s = max(self.silent_s, now - self.latest)
        self.latest = now


async def ride(
    destination: Destination, trouble: Callable[[], object], *, before: int = _ENOUGH, within_s: float = 90.0
) -> Ride:
    """Send all the time: *before* batches, then while *trouble* happens, then until enough got through."""
    told = Ride()
    async with aclosing(destination), asyncio.timeout(within_s):
        await _deliver(told, destination, before)
        told.breaks()
        breaking = asyncio.create_task(asyncio.to_thread(trouble))
        try:
            while not breaking.done():
                await _deliver(told, destination, 1)
            await _deliver(told, destination, _ENOUGH)
        finally:
            await breaking
    return told


async def _deliver(told: Ride, destination: Destination, batches: int) -> None:
    for _ in range(batches):
        left = [message(next(_numbers)) for _ in range(_BATCH)]
        while left := await told.send(destination, left):  # noqa: ASYNC110  we are the ones who try again
            await asyncio.sleep(PAUSE_S)
        await asyncio.sleep(_REST_S)


async def said(destination: Destination, *, messages: int = 2) -> Ride:
    """Send one batch, once, and close the destination; how long that took counts as silence."""
    told = Ride()
    told.breaks()
    async with aclosing(destination):
        await told.send(destination, [message(next(_numbers)) for _ in range(messages)])
        told.note()
    return told


@dataclass
class Report:
    """The rows of one system, printed as they come."""

    system: str
    failed: int = 0

    def row(
        self,
        situation: str,
        told: Ride,
        held: Iterable[str],
        *,
        says: str = "",
        within_s: float = 0,
        may_lose: bool = False,
    ) -> None:
        """Print a drill; *says* has to be in a text, and no silence may have been longer than *within_s*."""
        copies = Counter(held)
        lost = [each for each in told.delivered if each not in copies]
        twice = sum(copies[each] - 1 for each in set(told.delivered) if copies[each] > 1)
        texts = [text.replace(_SETTINGS, "…") for text, _ in told.texts.most_common()]
        wrong = []
        if lost and not may_lose:
            wrong.append(f"{len(lost)} lost")
        if within_s and (told.silent_s is None or told.silent_s > within_s):
            wrong.append(f"silent for more than {within_s:g} s")
        if says and not any(re.search(says, text, re.IGNORECASE) for text in texts):
            wrong.append(f"nothing says {says!r}")
        back = "-" if told.silent_s is None else f"{told.silent_s:.1f} s"
        got = f"{len(told.delivered) - len(lost)} of {len(told.delivered)}" if told.delivered else "-"
        self._print(situation, [got, str(twice), back, "; ".join(texts) or "-"], wrong)

    def fails(self, situation: str, why: str) -> None:
        """Print a row whose drill came to nothing."""
        self._print(situation, ["-"] * 4, [why])

    def _print(self, situation: str, cells: list[str], wrong: list[str]) -> None:
        sys.stdout.write(f"| {self.system} | {situation} | {' | '.join(cells)} |\n")
        sys.stdout.flush()
        if wrong:
            self.failed += 1
            sys.stderr.write(f"FAILED {self.system}, {situation}: {', '.join(wrong)}\n")


Drill = Callable[[Report], Coroutine[Any, Any, None]]


def run(name: str, version: Callable[[], str], *drills: Drill) -> int:
    """Run *drills*; return how many rows are not as they should be. Without the system, skip them, loudly."""
    logging.disable()  # libraries complain of what breaks on purpose
    only = os.environ.get("FIELD_DRILLS", "")
    wanted = [(_name(drill), drill) for drill in drills if only in _name(drill)]
    if not wanted:
        return 0
    try:
        report = Report(version())
    except pytest.skip.Exception as error:
        sys.stderr.write(f"SKIPPED {name}: {error}\n")
        return 0
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  # the others go on
        sys.stderr.write(f"FAILED {name}: {type(error).__name__}: {error}\n")
        return 1
    for situation, drill in wanted:
        try:
            asyncio.run(asyncio.wait_for(drill(report), _AT_MOST_S))
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  # one drill is one row
            report.fails(situation, f"{type(error).__name__}: {error}")
    return report.failed


def _name(drill: Drill) -> str:
    return getattr(drill, "func", drill).__name__.strip("_").replace("_", " ")
