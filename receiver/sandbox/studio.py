"""Makes generations: takes the order and the credits, waits, finishes, and sends the webhooks."""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any, Final

from receiver.sandbox.assets import Assets
from receiver.sandbox.clock import Clock
from receiver.sandbox.courier import Courier
from receiver.sandbox.dialect import Dialect
from receiver.sandbox.refusals import Refusal
from receiver.sandbox.state import Generation, Job, State

_FAIL_TAG: Final = re.compile(r"\[fail(?::\s*(?P<reason>[^\]]*))?\]")
DEFAULT_REASON: Final = "The model could not generate this"


class Studio:
    """Takes orders and works on them in the background."""

    def __init__(
        self, state: State, clock: Clock, assets: Assets, courier: Courier, dialect: Dialect
    ) -> None:
        self._state = state
        self._clock = clock
        self._assets = assets
        self._courier = courier
        self._dialect = dialect
        self._work: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def take(self, job: Job, *, account: str, origin: str) -> Generation:
        """Accept a job: charge for it and start it."""
        self._loop = asyncio.get_running_loop()
        self._charge(job, account)
        made = Generation(
            id=self._state.generation_id(),
            account=account,
            job=job,
            credits_charged=job.credits,
            created_at=self._clock.now(),
            origin=origin,
        )
        self._state.generations[made.id] = made
        match self._state.knobs.progression:
            case "immediate":
                self._finish(made, self._failure(made.job.prompt))
                self._work_on(self._courier.announce(made))
            case "timed":
                self._work_on(self._make(made))
        return made

    def settle(self, generation_id: str, reason: str | None) -> None:
        """Finish a generation now; with a *reason* it has failed. Safe from any thread.

        Raises:
            KeyError: there is no such generation.
            ValueError: it is finished already.
        """
        made = self._state.generations[generation_id]
        if made.status != "processing":
            raise ValueError(f"{generation_id} has {made.status} already")
        self._finish(made, reason)
        self._soon(self._courier.announce(made))

    def resend(self, generation_id: str) -> None:
        """Send the webhooks of a finished generation again. Safe from any thread.

        Raises:
            KeyError: there is no such generation.
            ValueError: it is not finished.
        """
        made = self._state.generations[generation_id]
        if made.status == "processing":
            raise ValueError(f"{generation_id} is not finished")
        self._soon(self._courier.resend(made))

    async def close(self) -> None:
        """Drop all unfinished work."""
        for task in list(self._work):
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    def _charge(self, job: Job, account: str) -> None:
        required, available = job.credits, self._state.credits[account]
        if available < required:
            raise Refusal(
                "insufficient_credits",
                f"You need {required} credits but only have {available}",
                required=required,
                available=available,
            )
        self._state.credits[account] = available - required

    async def _make(self, made: Generation) -> None:
        ready_at = made.created_at + self._state.knobs.delay_s(made.job.type)
        await self._clock.sleep(ready_at - self._clock.now())
        if made.status == "processing":
            self._finish(made, self._failure(made.job.prompt))
            await self._courier.announce(made)

    def _finish(self, made: Generation, reason: str | None) -> None:
        made.completed_at = self._clock.now()
        made.error = reason
        if reason is None:
            made.output_url = self._assets.url(made)
            made.status = "completed"
            return
        made.status = "failed"
        if self._state.knobs.refund_failures:
            self._state.credits[made.account] += made.credits_charged
            if self._dialect.refund == "credits_and_charge":
                made.credits_charged = 0

    def _failure(self, prompt: str) -> str | None:
        unlucky = self._state.random.random() < self._state.knobs.failure_rate
        tag = _FAIL_TAG.search(prompt)
        if tag is not None:
            return tag["reason"] or DEFAULT_REASON
        return DEFAULT_REASON if unlucky else None

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None, "a generation comes from a job"
        self._loop.call_soon_threadsafe(self._work_on, work)

    def _work_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
