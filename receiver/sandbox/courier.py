"""Sends webhooks: signed, retried, and with every mishap that can befall them."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import count

import httpx2

from receiver.contract import COMPLETED, SIGNATURE_TOLERANCE_S
from receiver.sandbox import letters, views
from receiver.sandbox.clock import Clock
from receiver.sandbox.dialect import Dialect
from receiver.sandbox.state import Generation, Sent, State, Webhook


@dataclass(frozen=True, slots=True)
class _Luck:
    """What happens to one webhook."""

    lost: bool = False
    twice: bool = False
    held: bool = False
    late: bool = False
    wrong_secret: bool = False


@dataclass(frozen=True, slots=True)
class _Delivery:
    generation: Generation
    url: str
    secret: str
    luck: _Luck = _Luck()
    webhook: Webhook | None = None
    """The registered webhook that it goes to."""


class Courier:
    """Notifies every subscriber of how a generation ended."""

    def __init__(self, state: State, clock: Clock, dialect: Dialect, *, secret: str) -> None:
        self._state = state
        self._clock = clock
        self._dialect = dialect
        self._secret = secret
        self._untold = f"whsec_{state.token(32)}"
        self._passed = asyncio.Event()
        self._http: httpx2.AsyncClient | None = None

    async def announce(self, generation: Generation) -> None:
        """Deliver the event of *generation* to its own URL and to every subscribed webhook."""
        async with asyncio.TaskGroup() as deliveries:
            for proper in self._deliveries(generation):
                delivery = replace(proper, luck=self._luck())
                if delivery.luck.lost:
                    self._state.lost.append(generation.id)
                    continue
                deliveries.create_task(self._deliver(delivery))
                if delivery.luck.twice:
                    deliveries.create_task(self._deliver(delivery))

    async def resend(self, generation: Generation) -> None:
        """Deliver it again to everyone, this time without mishaps."""
        async with asyncio.TaskGroup() as deliveries:
            for delivery in self._deliveries(generation):
                deliveries.create_task(self._deliver(delivery))

    async def close(self) -> None:
        """Close every connection."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _luck(self) -> _Luck:
        # Always draw the same number, so that changing one knob does not change the outcome of the others.
        chance, knobs = self._state.random.random, self._state.knobs
        return _Luck(
            twice=chance() < knobs.duplicate_rate,
            lost=chance() < knobs.loss_rate,
            held=chance() < knobs.reorder_rate,
            late=chance() < knobs.late_rate,
            wrong_secret=chance() < knobs.wrong_secret_rate,
        )

    def _deliveries(self, generation: Generation) -> Iterator[_Delivery]:
        event, url = views.event_type(generation), generation.job.webhook_url
        if url is not None and (event == COMPLETED or self._dialect.webhook_url_failures):
            account_signs = self._dialect.webhook_url_secret == "account"  # noqa: S105  # a name
            yield _Delivery(generation, url, self._secret if account_signs else self._untold)
        if url is not None and self._dialect.webhook_and_url == "url_only":
            return
        for webhook in list(self._state.webhooks.values()):
            wanted = webhook.account == generation.account and event in webhook.events
            if wanted and not views.disabled(webhook, self._dialect):
                yield _Delivery(generation, webhook.url, webhook.secret, webhook=webhook)

    async def _deliver(self, delivery: _Delivery) -> None:
        arrived = await self._arrives(delivery)
        if delivery.webhook is not None:
            delivery.webhook.failures_in_a_row = 0 if arrived else delivery.webhook.failures_in_a_row + 1

    async def _arrives(self, delivery: _Delivery) -> bool:
        await self._clock.sleep(self._state.knobs.webhook_delay_s)
        if delivery.luck.held:
            passed = asyncio.create_task(self._passed.wait())
            patience = asyncio.create_task(self._clock.sleep(self._state.knobs.reorder_wait_s))
            try:
                await asyncio.wait((passed, patience), return_when=asyncio.FIRST_COMPLETED)
            finally:
                passed.cancel()
                patience.cancel()
        first = self._clock.now()
        for attempt, pause_s in zip(count(1), (0.0, *self._state.knobs.webhook_retries_s), strict=False):
            await self._clock.sleep(pause_s)
            signed_at = first if self._dialect.retries_signed == "as_first" else self._clock.now()
            status = await self._attempt(delivery, attempt, signed_at)
            self._passed.set()
            self._passed = asyncio.Event()
            if status is not None and HTTPStatus(200) <= status < HTTPStatus(300):
                return True
            delivery = replace(delivery, luck=_Luck())
        return False

    async def _attempt(self, delivery: _Delivery, attempt: int, signed_at: float) -> int | None:
        made, knobs = delivery.generation, self._state.knobs
        payload = views.event(made, self._dialect)
        headers = letters.headers(
            payload,
            secret=self._untold if delivery.luck.wrong_secret else delivery.secret,
            former=self._untold,
            timestamp=int(signed_at) - (SIGNATURE_TOLERANCE_S + 1 if delivery.luck.late else 0),
            form=knobs.webhook_signature,
        )
        status = await self._post(delivery.url, letters.body(payload, knobs.webhook_body), headers)
        sent = Sent(made.id, payload["event"], delivery.url, attempt, status, self._clock.now())
        self._state.sent.append(sent)
        return status

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int | None:
        # Waiting for a free connection is the courier's own business, and does not make the receiver slow.
        timeout = httpx2.Timeout(self._state.knobs.webhook_timeout_s, pool=None)
        follow = self._dialect.webhook_redirects == "followed"
        if self._http is None:
            self._http = httpx2.AsyncClient(trust_env=False)
        post = self._http.post
        try:
            answer = await post(url, content=body, headers=headers, timeout=timeout, follow_redirects=follow)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return None
        return answer.status_code
