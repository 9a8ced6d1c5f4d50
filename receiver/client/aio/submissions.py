"""Paid calls: written down, sent once, and found again when the answer was lost."""

import asyncio
import logging
from typing import Any

from receiver.client import parse, requests
from receiver.client.aio.caller import Caller
from receiver.client.errors import ClientError, GenerationClaimed, InvalidParameter, OutcomeUnknown
from receiver.client.ledger import Ledger, Submission
from receiver.client.orders import Order
from receiver.client.pricing import check_price
from receiver.client.recovery import LOOKS_S, InDoubt, Search, is_contested, unclaimed
from receiver.client.results import Generation
from receiver.errors import StoreUnavailable

_log = logging.getLogger("receiver.client")

_MOST_OPEN = 1000


class Submissions:
    """Sends paid calls so that each is charged at most once."""

    def __init__(self, caller: Caller, ledger: Ledger) -> None:
        self._caller = caller
        self._ledger = ledger

    async def submit(self, order: Order) -> Generation:
        """Send *order* unless its name was sent before, and return the generation of that name."""
        try:
            return await self._submit(order)
        except OutcomeUnknown as unknown:
            if order.on_unknown == "raise":
                raise
            return await self.recover(unknown)

    async def recover(self, unknown: OutcomeUnknown) -> Generation:
        """Find what *unknown* was about, and adopt it; or raise it again, with its candidates."""
        doubt = InDoubt(requests.kind_of(unknown.request), unknown.request.body or {}, unknown.sent_at)
        for pause_s in LOOKS_S:
            await self._caller.pause(pause_s)
            found = await self._find(doubt, unknown)
            if found is not None:
                return found
            if len(unknown.candidates) > 1:
                break
        raise unknown

    async def unsettled(self, client_ref: str) -> OutcomeUnknown:
        """Return what is in doubt about the submission of that name, as the error it is.

        Raises:
            InvalidParameter: there is no such submission.
        """
        row = await asyncio.to_thread(self._ledger.get, client_ref)
        if row is None:
            raise InvalidParameter("client_ref", "names no submission in the ledger")
        return _in_doubt(row)

    async def adopt(self, client_ref: str, generation_id: str) -> Generation:
        """Write down that the submission of that name became this generation."""
        made = await self._caller.call(requests.get_generation(generation_id))
        await asyncio.to_thread(
            self._ledger.settle, client_ref, state="submitted", generation_id=generation_id
        )
        return made

    async def abandon(self, client_ref: str) -> None:
        """Write down that the submission of that name came to nothing."""
        await asyncio.to_thread(self._ledger.settle, client_ref, state="refused", error="abandoned")

    async def _submit(self, order: Order) -> Generation:
        submission = order.submission(self._caller.clock())
        earlier = await asyncio.to_thread(self._ledger.begin, submission)
        if earlier is None:
            return await self._send(order)
        if not order.is_that_of(earlier):
            raise InvalidParameter("client_ref", "belongs to an earlier call that asked for something else")
        if earlier.generation_id is None:
            raise _in_doubt(earlier)
        return await self._look_at(earlier.generation_id)

    async def _send(self, order: Order) -> Generation:
        try:
            await self._check_price(order)
            made = await self._caller.call(requests.generate(order.kind, order.body))
        except OutcomeUnknown as unknown:
            unknown.client_ref = order.client_ref
            await self._settle(order, state="unknown", error=unknown.reason)
            raise
        except ClientError as refusal:
            await self._settle(order, state="refused", error=str(refusal))
            raise
        await self._settle(order, state="submitted", generation_id=made.id)
        return made

    async def _check_price(self, order: Order) -> None:
        if order.max_credits is not None:
            check_price(order, await self._caller.call(requests.list_models(order.kind)))

    async def _settle(self, order: Order, **outcome: Any) -> None:
        # The answer is in our hands: it is worth more to the caller than the row, which stays `sending`.
        try:
            await asyncio.to_thread(self._ledger.settle, order.client_ref, **outcome)
        except (StoreUnavailable, GenerationClaimed) as error:
            _log.warning("submission %s is not settled: %s", order.client_ref, error)

    async def _find(self, doubt: InDoubt, unknown: OutcomeUnknown) -> Generation | None:
        try:
            return await self._known(unknown) or await self._adopted(doubt, unknown)
        except (ClientError, StoreUnavailable) as error:
            raise unknown from error

    async def _known(self, unknown: OutcomeUnknown) -> Generation | None:
        row = await asyncio.to_thread(self._ledger.get, unknown.client_ref or "")
        if row is None or row.generation_id is None:
            return None
        return await self._look_at(row.generation_id)

    async def _adopted(self, doubt: InDoubt, unknown: OutcomeUnknown) -> Generation | None:
        found, sure = await self._search(doubt, unknown)
        unknown.candidates = found
        if len(found) != 1 or not sure or found[0].created_at is None:
            return None
        if unknown.client_ref is not None:
            await asyncio.to_thread(
                self._ledger.settle, unknown.client_ref, state="submitted", generation_id=found[0].id
            )
        unknown.candidates = ()
        return found[0]

    async def _search(self, doubt: InDoubt, unknown: OutcomeUnknown) -> tuple[tuple[Generation, ...], bool]:
        search = Search(doubt)
        while not search.finished:
            page = await self._caller.call(
                requests.list_generations(
                    kind=doubt.kind, status=None, limit=search.limit, offset=search.offset
                )
            )
            search.take(page, self._caller.pacer.skew_s)
        # The open rows before the claimed ones: a row that is settled in between is seen as one of the two.
        open_rows = await self._open_rows()
        claimed = await asyncio.to_thread(self._ledger.claimed, [made.id for made in search.found])
        found = unclaimed(search.found, claimed)
        contested = any(is_contested(doubt, unknown.client_ref, open_rows, made) for made in found)
        return found, search.complete and not contested

    async def _open_rows(self) -> list[Submission]:
        sending = await asyncio.to_thread(self._ledger.list, state="sending", limit=_MOST_OPEN)
        unknown = await asyncio.to_thread(self._ledger.list, state="unknown", limit=_MOST_OPEN)
        return [*sending, *unknown]

    async def _look_at(self, generation_id: str) -> Generation:
        stored = await asyncio.to_thread(self._ledger.outcome, generation_id)
        if stored is not None:
            return parse.generation(stored)
        return await self._caller.call(requests.get_generation(generation_id))


def _in_doubt(row: Submission) -> OutcomeUnknown:
    return OutcomeUnknown(
        requests.generate(row.kind, row.request),
        sent_at=row.sent_at or 0.0,
        reason=row.error or "an earlier call of this name is under way, or ended without a trace",
        client_ref=row.client_ref,
    )
