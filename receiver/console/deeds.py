"""The audit log of the console: a deed is written down before it is done, or not done."""

import secrets

import structlog
from starlette.requests import Request

from receiver import clock
from receiver.events import event_id
from receiver.store import Store
from receiver.store.audit import Deed, write_down

_ENTROPY_BYTES = 10
_MOST_CHARS = 1_000

log = structlog.get_logger()


class Deeds:
    """Appends to the audit log, and to the process's own log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def note(self, request: Request, what: str, on: str = "", *, who: str | None = None) -> None:
        """Write down that the user of *request* does *what*."""
        name = who or request.state.session.who
        address = request.client.host if request.client else "unknown"
        at_ms = clock.now_ms()
        id_ = event_id(at_ms, secrets.token_bytes(_ENTROPY_BYTES))
        deed = Deed(id_, at_ms, f"{name} ({address})", what, on[:_MOST_CHARS])
        await self._store.transact(write_down, deed)
        log.info("console", who=deed.who, what=what, on=deed.on)
