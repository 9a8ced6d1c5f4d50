"""Actions over the private listener, for the audit log and the process's own log."""

from typing import Final

import structlog
from starlette.requests import Request

from receiver.operations import audit
from receiver.store import Store

OF_API: Final = "admin API"
"""Whoever has the token: the API knows no names."""

log = structlog.get_logger()


async def note(store: Store, request: Request, what: str, on: str = "", *, who: str = OF_API) -> None:
    """Record that *who*, at the address of *request*, does *what*."""
    address = request.client.host if request.client else "unknown"
    deed = await audit.note(store, f"{who} ({address})", what, on)
    log.info("operator", who=deed.who, what=what, on=deed.on)
