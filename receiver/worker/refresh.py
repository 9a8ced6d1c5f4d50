"""Gets a new URL for an asset whose URL has expired."""

import asyncio
from collections.abc import Iterable
from typing import Final

from receiver.client import ClientError, NotFound
from receiver.events import Event
from receiver.outcomes import Retry
from receiver.worker.reconcile_pass import Account

_PATIENCE_S: Final = 60.0
"""The longest that a mirror waits for the rate limit: others need its place."""


class Refresher:
    """Asks the provider again where a generation's file is. The asset's host never sees the API key."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts = {account.source: account for account in accounts}

    async def __call__(self, event: Event) -> str | Retry | None:
        """Return its present URL, perhaps unchanged; None if there is none, Retry if nobody answers."""
        account = self._accounts.get(event.source)
        if account is None:
            return None
        try:
            async with asyncio.timeout(_PATIENCE_S):
                found = await account.generations.get(event.generation_id)
        except NotFound:
            return None
        except (ClientError, TimeoutError) as error:
            return Retry(str(error)) if getattr(error, "retryable", True) else None
        return found.output_url
