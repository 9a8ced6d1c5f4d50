"""`POST /webhooks/{source}`: bytes in, one JSON answer out."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from receiver.errors import SignatureError, StoreUnavailable
from receiver.receive import Receipt, Record, Source
from receiver.receive import receive as receive_delivery
from receiver.telemetry import metrics
from receiver.telemetry.sampling import Sampler
from receiver.web import answers
from receiver.web.body import BodyRefusal, read_body

_SAMPLE_EVERY_S: Final = 10.0
_ENTROPY_BYTES: Final = 10

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The endpoint, as an ASGI application, for the configured sources and one store."""

    sources: Mapping[str, Source]
    record: Record
    clock: Callable[[], float] = time.time
    sampler: Sampler = field(default_factory=lambda: Sampler(_SAMPLE_EVERY_S, time.monotonic))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one delivery; 200 only once it is on disk."""
        response = await self._answer(scope, receive)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        source = self.sources.get(scope["path_params"]["source"])
        if source is None:
            return self._refused(404, "unknown_source")
        try:
            body = await read_body(scope["headers"], receive)
            receipt = await self._receive(scope, body, source)
        except BodyRefusal as refusal:
            return self._refused(refusal.status, _REASONS[refusal.status])
        except SignatureError as error:
            return self._not_genuine(source, error)
        except StoreUnavailable as error:
            return self._unavailable(error)
        _log_receipt(source, receipt)
        return answers.json(200, {"status": receipt.status, "event_id": receipt.event_id})

    async def _receive(self, scope: Scope, body: bytes, source: Source) -> Receipt:
        header = source.signature_header.lower().encode()
        signature = [value for name, value in scope["headers"] if name == header]
        entropy = random.randbytes(_ENTROPY_BYTES)  # noqa: S311  ids are unique, not secret
        return await receive_delivery(
            signature, body, source=source, record=self.record, now=self.clock(), entropy=entropy
        )

    def _refused(self, status: int, reason: str) -> Response:
        metrics.REFUSED.labels(reason).inc()
        self._sampled("refused", reason)
        return answers.refused(status)

    def _not_genuine(self, source: Source, error: SignatureError) -> Response:
        metrics.SIGNATURE_FAULTS.labels(source.name, error.reason).inc()
        self._sampled("not genuine", error.reason, source=source.name)
        return answers.not_genuine()

    def _unavailable(self, error: StoreUnavailable) -> Response:
        metrics.REFUSED.labels("store_unavailable").inc()
        self._sampled("store unavailable", "store_unavailable", error=str(error))
        return answers.unavailable()

    def _sampled(self, fact: str, reason: str, **more: str) -> None:
        held_back = self.sampler.admit(reason)
        if held_back is not None:
            log.warning(fact, reason=reason, held_back=held_back, **more)


_REASONS: Final = {408: "slow_body", 413: "too_large", 415: "encoded"}


def _log_receipt(source: Source, receipt: Receipt) -> None:
    log.info(
        receipt.status,
        source=source.name,
        event_id=receipt.event_id,
        generation_id=receipt.generation_id,
        **({"reason": receipt.reason} if receipt.reason else {}),
    )
