"""Submissions in doubt, resolved by an operator."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from receiver.client import Client, InvalidParameter, Ledger, NotFound, Submission
from receiver.errors import ConfigError, variable
from receiver.settings import Settings
from receiver.wiring.ledgers import build_ledger, differences


@dataclass(frozen=True, slots=True)
class LedgerDesk:
    """Resolves submissions of the default source. Blocking work runs in a thread."""

    settings: Settings

    async def list(self, state: str | None, limit: int) -> Sequence[Submission]:
        """Return up to *limit* submissions in *state*, or in any state if None, latest first."""
        return await asyncio.to_thread(self._list, state, limit)

    async def adopt(self, client_ref: str, generation_id: str, *, force: bool = False) -> Submission:
        """Record that a submission became this generation."""
        return await asyncio.to_thread(self._adopt, client_ref, generation_id, force=force)

    async def recover(self, client_ref: str) -> Submission:
        """Find what a submission became in the provider's list, and record it."""
        return await asyncio.to_thread(self._recover, client_ref)

    async def abandon(self, client_ref: str) -> Submission:
        """Record that a submission was never accepted."""
        return await asyncio.to_thread(self._abandon, client_ref)

    def _list(self, state: str | None, limit: int) -> Sequence[Submission]:
        with closing(build_ledger(self.settings)) as ledger:
            return ledger.list(state=state, limit=limit)

    def _adopt(self, client_ref: str, generation_id: str, *, force: bool) -> Submission:
        with closing(build_ledger(self.settings)) as ledger, self._client(ledger) as client:
            wanted = _in_doubt(ledger, client_ref)
            mismatch = differences(wanted, client.generations.get(generation_id))
            if mismatch and not force:
                raise InvalidParameter("generation_id", f"is not what was asked for: {'; '.join(mismatch)}")
            client.generate.adopt(client_ref, generation_id)
            return _known(ledger, client_ref)

    def _recover(self, client_ref: str) -> Submission:
        with closing(build_ledger(self.settings)) as ledger, self._client(ledger) as client:
            _in_doubt(ledger, client_ref)
            client.generate.recover(client_ref)
            return _known(ledger, client_ref)

    def _abandon(self, client_ref: str) -> Submission:
        with closing(build_ledger(self.settings)) as ledger:
            _in_doubt(ledger, client_ref)
            ledger.settle(client_ref, state="refused", error="abandoned")
            return _known(ledger, client_ref)

    def _client(self, ledger: Ledger) -> Client:
        key = self.settings.api_key.get_secret_value() if self.settings.api_key else ""
        if not key:
            raise ConfigError(f"{variable('api_key')} is not set: the provider cannot be asked")
        return Client(key, base_url=self.settings.api_base_url, ledger=ledger)


def _in_doubt(ledger: Ledger, client_ref: str) -> Submission:
    found = _known(ledger, client_ref)
    if found.state in ("submitted", "refused"):
        raise InvalidParameter("client_ref", f"is not in doubt: it is {found.state}")
    return found


def _known(ledger: Ledger, client_ref: str) -> Submission:
    found = ledger.get(client_ref)
    if found is None:
        raise NotFound(f"there is no submission {client_ref[:100]}")
    return found
