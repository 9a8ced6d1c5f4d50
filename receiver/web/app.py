"""The public application: three routes, listed here and nowhere else.

`POST /webhooks/{source}`: bytes in, one JSON answer out. `GET /healthz` and `GET /readyz`: its state.
"""

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import orjson

from receiver.errors import SignatureError, StoreUnavailable
from receiver.receive import Receipt, Record, Source, read_delivery, record_delivery
from receiver.store.record import Entry
from receiver.telemetry import logs
from receiver.telemetry.refusals import Refusals
from receiver.telemetry.sampling import EVERY_S, Sampler
from receiver.web.answers import ENCODED, NOT_FOUND, NOT_GENUINE, ONLY_GET, ONLY_POST, UNAVAILABLE, Answer
from receiver.web.health import HEALTHY, Readiness
from receiver.web.request import Request

_WEBHOOKS: Final = b"/webhooks/"
_READING: Final = (b"GET", b"HEAD")
_ENTROPY_BYTES: Final = 10


class PublicApp:
    """The three routes, for the configured sources and one store."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        record: Record,
        check: Callable[[], Awaitable[None]],
        refusals: Refusals,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """*record* and *check* are the store's."""
        self.change_sources(sources)
        self.readiness = Readiness(check)
        self._record = record
        self._refusals = refusals
        self._clock = clock
        self._repeats = Sampler(EVERY_S, monotonic)

    def change_sources(self, sources: Mapping[str, Source]) -> None:
        """Use *sources* from the next request on."""
        self._sources = {
            name.encode(): (source, source.signature_header.lower().encode())
            for name, source in sources.items()
        }

    def answer(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer one complete request, at once if nothing has to be awaited.

        A refusal is returned at once: it costs no task, and the caller can limit what strangers cost.
        """
        path = request.path
        if path.startswith(_WEBHOOKS) and (name := path[len(_WEBHOOKS) :]) and b"/" not in name:
            if request.method == b"POST":
                return self._deliver(request, name)
            return self._refused(request, ONLY_POST, "method")
        if path not in (b"/healthz", b"/readyz"):
            return self._refused(request, NOT_FOUND, "no_route")
        if request.method not in _READING:
            return self._refused(request, ONLY_GET, "method")
        return HEALTHY if path == b"/healthz" else self.readiness.answer()

    def note_refusal(self, request: Request | None, peer: str, reason: str) -> None:
        """Count a request that was refused before it was complete."""
        self._refusals.note(reason, peer, request.values(b"x-forwarded-for") if request else ())

    def _deliver(self, request: Request, name: bytes) -> Answer | Awaitable[Answer]:
        """Answer one delivery for the source called *name*."""
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
        """Answer 200 only once *entry* is on disk."""
        try:
            receipt = await record_delivery(entry, self._record)
        except StoreUnavailable as error:
            self.readiness.doubt()
            self._refusals.note_unavailable(str(error))
            return UNAVAILABLE
        self._log(entry.source, receipt)
        return Answer(200, orjson.dumps({"status": receipt.status, "event_id": receipt.event_id}))

    def _log(self, source: str, receipt: Receipt) -> None:
        """Log *receipt*; whoever captured a delivery can repeat it for minutes, so of repeats only some."""
        held_back = 0 if receipt.status == "accepted" else self._repeats.admit(receipt.event_id)
        if held_back is None:
            return
        about: dict[str, str | int] = (
            {"generation_id": receipt.generation_id}
            if receipt.generation_id is not None
            else {"reason": receipt.reason or ""}
        )
        if held_back:
            about["held_back"] = held_back
        logs.info(receipt.status, source=source, event_id=receipt.event_id, **about)

    def _refused(self, request: Request, answer: Answer, reason: str, source: str | None = None) -> Answer:
        self._refusals.note(reason, request.peer, request.values(b"x-forwarded-for"), source=source)
        return answer
