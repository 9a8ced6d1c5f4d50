"""The public application: three routes, listed here and nowhere else."""

from collections.abc import Awaitable, Mapping
from typing import Final, Protocol

from receiver.receive import Record, Source
from receiver.telemetry.refusals import Refusals
from receiver.web.answers import NOT_FOUND, ONLY_GET, ONLY_POST, Answer
from receiver.web.health import HEALTHY, Readiness
from receiver.web.request import Request
from receiver.web.webhooks import Webhooks

_WEBHOOKS: Final = b"/webhooks/"
_READING: Final = (b"GET", b"HEAD")


class ReadyStore(Protocol):
    """What the public side needs of the store."""

    @property
    def record(self) -> Record:
        """See `Store.record`."""
        ...

    async def check(self) -> None:
        """See `Store.check`."""
        ...


class PublicApp:
    """`POST /webhooks/{source}`, `GET /healthz` and `GET /readyz`."""

    def __init__(self, webhooks: Webhooks, readiness: Readiness, refusals: Refusals) -> None:
        self.readiness = readiness
        self._webhooks = webhooks
        self.change_sources = webhooks.change_sources
        self._refusals = refusals

    def answer(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer one whole request: at once where nothing has to be waited for."""
        path = request.path
        if path.startswith(_WEBHOOKS) and (name := path[len(_WEBHOOKS) :]) and b"/" not in name:
            if request.method == b"POST":
                return self._webhooks.answer(request, name)
            return self._refused(request, ONLY_POST, "method")
        if path not in (b"/healthz", b"/readyz"):
            return self._refused(request, NOT_FOUND, "no_route")
        if request.method not in _READING:
            return self._refused(request, ONLY_GET, "method")
        return HEALTHY if path == b"/healthz" else self.readiness.answer()

    def note_refusal(self, request: Request | None, peer: str, reason: str) -> None:
        """Count a request that was refused before it was whole."""
        self._refusals.note(reason, peer, request.values(b"x-forwarded-for") if request else ())

    def _refused(self, request: Request, answer: Answer, reason: str) -> Answer:
        self.note_refusal(request, request.peer, reason)
        return answer


def build_app(sources: Mapping[str, Source], store: ReadyStore, refusals: Refusals) -> PublicApp:
    """Build the public application for *sources*, by name."""
    readiness = Readiness(store.check)
    webhooks = Webhooks(sources, store.record, refusals, on_unavailable=readiness.doubt)
    return PublicApp(webhooks, readiness, refusals)
