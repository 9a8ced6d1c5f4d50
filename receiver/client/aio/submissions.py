"""Paid calls: recorded, sent once, and found again if the answer was lost."""

import asyncio
import logging
from typing import Any

from receiver import tracing
from receiver.client import parse, requests
from receiver.client.aio.caller import Caller
from receiver.client.errors import InvalidParameter, NotCharged, NotSent, OutcomeUnknown
from receiver.client.ledger import SETTLING_S, Ledger
from receiver.client.paid_calls import PaidCall, check_price
from receiver.client.recovery import LOOKS_S, InDoubt, Search
from receiver.client.refusals import noted
from receiver.client.results import Generation
from receiver.client.verdicts import Became, Evidence, NothingAccepted, StillOpen, Verdict, judge
from receiver.errors import ClientError, GenerationClaimed, StoreUnavailable
from receiver.submissions import Submission

_log = logging.getLogger("receiver.client")

_MOST_OPEN = 1000
_FRESH_S = 10.0
"""An entry older than this is renewed before it is sent."""
_SETTLE_AGAIN_S = (0.0, 0.5, 2.0)


class Submissions:
    """Sends paid calls so that each is charged at most once."""

    def __init__(self, caller: Caller, ledger: Ledger) -> None:
        self._caller = caller
        self._ledger = ledger

    async def submit(self, call: PaidCall) -> Generation:
        """Send *call* unless its name was used before, and return the generation of that name."""
        try:
            return await self._submit(call)
        except OutcomeUnknown as unknown:
            if call.on_unknown == "raise":
                raise
            return await self.recover(unknown)

    async def recover(self, unknown: OutcomeUnknown) -> Generation:
        """Find the generation of *unknown*, and adopt it; or raise it again, with candidates.

        Raises:
            NotCharged: it was not accepted; its name is free.
        """
        kind = requests.kind_of(unknown.request)
        for pause_s in LOOKS_S:
            await self._caller.pause(pause_s)
            match await self._find(kind, unknown):
                case Became(generation):
                    return generation
                case NothingAccepted():
                    raise NotCharged(unknown.request, client_ref=unknown.client_ref)
                case StillOpen(candidates):
                    unknown.candidates = candidates
            if len(unknown.candidates) > 1:
                break
        raise unknown

    async def unsettled(self, client_ref: str) -> OutcomeUnknown:
        """Return the doubt about the submission of that name, as its error.

        Raises:
            InvalidParameter: there is no such submission, or its generation is known.
        """
        row = await asyncio.to_thread(self._ledger.get, client_ref)
        if row is None:
            raise InvalidParameter("client_ref", "names no submission in the ledger")
        if row.generation_id is not None:
            raise InvalidParameter("client_ref", f"is settled: it became {row.generation_id}")
        return _in_doubt(row)

    async def adopt(self, client_ref: str, generation_id: str) -> Generation:
        """Record that the submission of that name became this generation."""
        doubt = await self.unsettled(client_ref)
        made = await self._caller.call(requests.get_generation(generation_id))
        await self._settle(client_ref, doubt, state="submitted", generation_id=generation_id)
        return made

    async def abandon(self, client_ref: str) -> None:
        """Record that the submission of that name was not accepted."""
        doubt = await self.unsettled(client_ref)
        await self._settle(client_ref, doubt, state="refused", error="abandoned")

    async def _settle(self, client_ref: str, doubt: OutcomeUnknown, **outcome: Any) -> None:
        """Record the outcome of the order in *doubt*, not of one that has had its name since."""
        sent_at = doubt.sent_at or None
        await asyncio.to_thread(self._ledger.settle, client_ref, sent_at=sent_at, **outcome)

    async def _submit(self, call: PaidCall) -> Generation:
        submission = call.submission(self._caller.clock())
        earlier = await asyncio.to_thread(self._ledger.begin, submission)
        if earlier is None:
            return await self._send(call, submission.sent_at or 0.0)
        if not call.is_that_of(earlier):
            raise InvalidParameter("client_ref", "belongs to an earlier call that asked for something else")
        if earlier.generation_id is None:
            raise _in_doubt(earlier)
        return await self._look_at(earlier.generation_id)

    async def _send(self, call: PaidCall, sent_at: float) -> Generation:
        row = _Row(self._caller, self._ledger, call.client_ref, sent_at)
        try:
            if call.max_credits is not None:
                check_price(call, await self._caller.call(requests.list_models(call.kind)))
            request = requests.generate(call.kind, call.body)
            with tracing.posting(call.kind, request.url(self._caller.config.base_url)) as ordered:
                made = await self._caller.call(request, before=row.renew)
                ordered.generation_id = made.id
        except OutcomeUnknown as unknown:
            unknown.client_ref = call.client_ref
            await row.settle(state="unknown", error=unknown.reason)
            raise
        except ClientError as refusal:
            await row.settle(state="refused", error=noted(refusal))
            raise
        await row.settle(state="submitted", generation_id=made.id)
        return made

    async def _find(self, kind: str, unknown: OutcomeUnknown) -> Verdict:
        try:
            row = await asyncio.to_thread(self._ledger.get, unknown.client_ref or "")
            if row is not None and row.generation_id is not None:
                return Became(await self._look_at(row.generation_id))
            if row is not None and row.state == "refused":
                return NothingAccepted()
            sent_at = unknown.sent_at if row is None or row.sent_at is None else row.sent_at
            doubt = InDoubt(kind, unknown.request.body or {}, sent_at)
            verdict = judge(doubt, unknown.client_ref, await self._search(doubt))
            return verdict if row is None else await self._write_down(row, verdict)
        except (ClientError, StoreUnavailable) as error:
            raise unknown from error

    async def _write_down(self, row: Submission, verdict: Verdict) -> Verdict:
        """Record *verdict* and return it, unless the order was sent or settled while the list was read."""
        match verdict:
            case Became(generation):
                outcome = {"state": "submitted", "generation_id": generation.id}
            case NothingAccepted():
                outcome = {
                    "state": "refused",
                    "error": "not accepted: it never appeared in the provider's list",
                }
            case StillOpen():
                return verdict
        await asyncio.to_thread(self._ledger.settle, row.client_ref, sent_at=row.sent_at, **outcome)
        left = await asyncio.to_thread(self._ledger.get, row.client_ref)
        expected = outcome["state"], outcome.get("generation_id")
        return verdict if left and (left.state, left.generation_id) == expected else StillOpen(())

    async def _search(self, doubt: InDoubt) -> Evidence:
        now = self._caller.clock()
        search = Search(doubt, since=await self._since(doubt, now))
        while not search.finished:
            page = await self._caller.call(
                requests.list_generations(
                    kind=doubt.kind, status=None, limit=search.limit, offset=search.offset
                )
            )
            search.take(page, self._caller.pacer.skew_s)
        # Read the open rows before the claimed ones: a row that is settled in between appears in one of them.
        open_rows = await self._open_rows()
        claimed = await asyncio.to_thread(self._ledger.claimed, [made.id for made in search.alike])
        return Evidence(search, open_rows, claimed, now, self._caller.pacer.skew_s)

    async def _since(self, doubt: InDoubt, now: float) -> float | None:
        """Return the time from which every generation must be seen; None for as few as possible."""
        if not doubt.has_settled(now):
            return None
        rivals = (row.sent_at or doubt.sent_at for row in await self._open_rows())
        return min((doubt.sent_at, *rivals)) - SETTLING_S

    async def _open_rows(self) -> list[Submission]:
        sending = await asyncio.to_thread(self._ledger.list, state="sending", limit=_MOST_OPEN)
        unknown = await asyncio.to_thread(self._ledger.list, state="unknown", limit=_MOST_OPEN)
        return [*sending, *unknown]

    async def _look_at(self, generation_id: str) -> Generation:
        stored = await asyncio.to_thread(self._ledger.outcome, generation_id)
        if stored is not None:
            return parse.generation(stored)
        return await self._caller.call(requests.get_generation(generation_id))


class _Row:
    """The row of an order that is being sent."""

    def __init__(self, caller: Caller, ledger: Ledger, client_ref: str, sent_at: float) -> None:
        self._caller = caller
        self._ledger = ledger
        self._client_ref = client_ref
        self._sent_at = sent_at

    async def renew(self) -> None:
        """Refuse to send a call that waited so long that another may have settled it.

        Raises:
            NotSent: another has.
        """
        # Renewing may wait long too, for a thread and the database.
        while not 0 <= (now := self._caller.clock()) - self._sent_at <= _FRESH_S:
            was = self._sent_at
            if not await asyncio.to_thread(self._ledger.renew, self._client_ref, was=was, sent_at=now):
                raise NotSent(f"{self._client_ref} was settled by another call; nothing was sent")
            self._sent_at = now

    async def settle(self, **outcome: Any) -> None:
        """Record the outcome.

        We have the answer, which matters more to the caller than the row. If the row cannot be written after
        a retry, it stays `sending`.
        """
        for pause_s in _SETTLE_AGAIN_S:
            await self._caller.pause(pause_s)
            try:
                await asyncio.to_thread(
                    self._ledger.settle, self._client_ref, sent_at=self._sent_at, **outcome
                )
            except GenerationClaimed as error:
                _log.warning("submission %s is not settled: %s", self._client_ref, error)
                return
            except Exception as error:  # noqa: BLE001  a ledger may be anybody's
                _log.warning("submission %s is not settled: %s", self._client_ref, repr(error))
            else:
                return


def _in_doubt(row: Submission) -> OutcomeUnknown:
    return OutcomeUnknown(
        requests.generate(row.kind, row.request),
        sent_at=row.sent_at or 0.0,
        reason=row.error or "an earlier call of this name is under way, or ended without a trace",
        client_ref=row.client_ref,
    )
