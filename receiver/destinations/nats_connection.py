"""A connection to NATS that is dialled once and tells when it is lost.

The library would reconnect in the background, for longer than a batch may take, and leave those who wait for
an acknowledgement to their own timeouts.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from nats.aio.client import Client
from nats.errors import NoServersError, SecureConnWantedError

_GOODBYE_S: Final = 1.0
_DENIED: Final = "permissions violation"


class Connection(Client):
    """One connection. *on_trouble* is called when it is lost, or when the server refuses a publication."""

    def __init__(self, on_trouble: Callable[["Connection"], None]) -> None:
        super().__init__()
        self.trouble: Exception | None = None
        """The latest thing that went wrong."""
        self._on_trouble = on_trouble
        self._insist_on_tls = False

    async def dial(self, *, insist_on_tls: bool, **options: Any) -> None:
        """Connect to the first server that answers, trying each twice at most.

        Raises:
            nats.errors.Error, OSError: none did, or it refused us.
        """
        self._insist_on_tls = insist_on_tls
        try:
            await self.connect(
                **options,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=self._note,
                closed_cb=self._lost,
            )
        except NoServersError as error:
            raise self.trouble or error from None

    async def hang_up(self) -> None:
        """Close it, waiting for the server no longer than a moment."""
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await self.close()
        except TimeoutError:
            if self._transport is not None:
                self._transport.close()  # type: ignore[no-untyped-call]  # the library's

    def _connect_command(self) -> bytes:
        # The library encrypts if the server asks for it, and else sends the credentials in the clear.
        if self._insist_on_tls and not self._server_info.get("tls_required"):
            raise SecureConnWantedError
        return super()._connect_command()

    async def _note(self, error: Exception) -> None:
        self.trouble = error
        if _DENIED in str(error).lower():
            self._on_trouble(self)

    async def _lost(self) -> None:
        self.trouble = self.trouble or self.last_error
        self._on_trouble(self)
