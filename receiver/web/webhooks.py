"""`POST /webhooks/{source}`: bytes in, one JSON answer out."""

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from receiver.errors import SignatureError, StoreUnavailable
from receiver.receive import Receipt, Record, Source, read_delivery, record_delivery
from receiver.store import Entry
from receiver.telemetry import logs
from receiver.telemetry.refusals import Refusals
from receiver.web import answers
from receiver.web.answers import ENCODED, NOT_FOUND, NOT_GENUINE, UNAVAILABLE, Answer
from receiver.web.request import Request

_ENTROPY_BYTES: Final = 10


class Webhooks:
    """The endpoint, for the configured sources and one store."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        record: Record,
        refusals: Refusals,
        *,
        clock: Callable[[], float] = time.time,
        on_unavailable: Callable[[], None] = lambda: None,
    ) -> None:
        self.change_sources(sources)
        self._record = record
        self._refusals = refusals
        self._clock = clock
        self._on_unavailable = on_unavailable

    def change_sources(self, sources: Mapping[str, Source]) -> None:
        """Verify by *sources* from the next request on."""
        self._sources = {
            name.encode(): (source, source.signature_header.lower().encode())
            for name, source in sources.items()
        }

    def answer(self, request: Request, name: bytes) -> Answer | Awaitable[Answer]:
        """Answer one delivery for the source called *name*; 200 only once it is on disk.

        A refusal is there at once: it costs no task, and the caller can bound what strangers cost.
        """
        found = self._sources.get(name)
        if found is None:
            return self._refused(request, NOT_FOUND, "unknown_source")
        if request.is_encoded:
            return self._refused(request, ENCODED, "encoded")
        source, header = found
        try:
            entry = read_delivery(
                request.values(header),
                request.body,
                source=source,
                now=self._clock(),
                entropy=random.randbytes(_ENTROPY_BYTES),  # noqa: S311  ids are unique, not secret
            )
        except SignatureError as error:
            return self._refused(request, NOT_GENUINE, error.reason, source.name)
        return self._recorded(entry)

    async def _recorded(self, entry: Entry) -> Answer:
        try:
            receipt = await record_delivery(entry, self._record)
        except StoreUnavailable as error:
            return self._unavailable(error)
        _log(entry.source, receipt)
        return answers.json(200, {"status": receipt.status, "event_id": receipt.event_id})

    def _refused(self, request: Request, answer: Answer, reason: str, source: str | None = None) -> Answer:
        self._refusals.note(reason, request.peer, request.values(b"x-forwarded-for"), source=source)
        return answer

    def _unavailable(self, error: StoreUnavailable) -> Answer:
        self._on_unavailable()
        self._refusals.note_unavailable(str(error))
        return UNAVAILABLE


def _log(source: str, receipt: Receipt) -> None:
    about = (
        {"generation_id": receipt.generation_id}
        if receipt.generation_id is not None
        else {"reason": receipt.reason or ""}
    )
    logs.info(receipt.status, source=source, event_id=receipt.event_id, **about)
