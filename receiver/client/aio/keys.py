"""`client.keys`: the account's API keys. They need a signed-in session; an API key does not work."""

from collections.abc import Iterable
from datetime import datetime

from receiver.client import requests
from receiver.client.aio.caller import Caller
from receiver.client.parameters import OMIT, Omit
from receiver.client.results import ApiKey, ApiKeyList
from receiver.contract import Scope


class Keys:
    """Manages API keys."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(
        self,
        name: str,
        *,
        scopes: Iterable[Scope] | Omit = OMIT,
        ip_allowlist: Iterable[str] | Omit = OMIT,
        expires_at: datetime | str | Omit = OMIT,
    ) -> ApiKey:
        """Create an API key. Store `.key` at once: it may not be shown again.

        Args:
            name: what it is for.
            scopes: of read, generate:image, generate:video and webhooks; by default read alone.
            ip_allowlist: addresses, or networks if the provider accepts them; by default any.
            expires_at: a time with its offset from UTC; by default never.

        Raises:
            InvalidParameter: a value the API document does not allow; nothing was sent.
            OutcomeUnknown: it may have been created; check `list` before you retry.
        """
        request = requests.create_api_key(
            name, scopes=scopes, ip_allowlist=ip_allowlist, expires_at=expires_at
        )
        return await self._caller.call(request)

    async def list(self) -> ApiKeyList:
        """Return every API key, without the secret part."""
        return await self._caller.call(requests.list_api_keys())

    async def revoke(self, key_id: str) -> None:
        """Revoke an API key, permanently.

        Raises:
            NotFound: no such key, or another account's.
        """
        await self._caller.call(requests.revoke_api_key(key_id))
