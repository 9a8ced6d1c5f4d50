"""What is done in the console, for the audit log."""

from starlette.requests import Request

from receiver.admin.deeds import note
from receiver.store import Store


class Deeds:
    """Appends to the audit log, and to the process's own log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def note(self, request: Request, what: str, on: str = "", *, who: str | None = None) -> None:
        """Write down that the user of *request* does *what*."""
        await note(self._store, request, what, on, who=who or request.state.session.who)
