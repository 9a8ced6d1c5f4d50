"""What is done in the console, for the audit log."""

import structlog
from starlette.requests import Request

from receiver.operations import audit
from receiver.store import Store

log = structlog.get_logger()


class Deeds:
    """Appends to the audit log, and to the process's own log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def note(self, request: Request, what: str, on: str = "", *, who: str | None = None) -> None:
        """Write down that the user of *request* does *what*."""
        name = who or request.state.session.who
        address = request.client.host if request.client else "unknown"
        deed = await audit.note(self._store, f"{name} ({address})", what, on)
        log.info("console", who=deed.who, what=what, on=deed.on)
