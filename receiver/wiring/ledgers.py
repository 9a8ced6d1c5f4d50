"""What programs on one database share about the provider."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from receiver.client import Client, InvalidParameter, Ledger, NotFound
from receiver.client.results import Generation
from receiver.errors import ConfigError, variable
from receiver.settings import Settings
from receiver.store.engine import connect, database_exists
from receiver.store.ledger import StoreLedger
from receiver.store.pace import StorePace
from receiver.submissions import Submission
from receiver.wiring.sources import DEFAULT_SOURCE

_PACE_PATIENCE_S: Final = 5.0
"""The longest that a request waits for a busy database; after that the program paces itself."""
_LEDGER_PATIENCE_S: Final = 30.0
"""A paid call must be recorded, however busy the database is."""


def open_ledger(database_url: str, *, source: str = DEFAULT_SOURCE) -> StoreLedger:
    """Open a ledger for `Client(ledger=…)`, in the database of a receiver or in one of its own.

    Close it once no client uses it. Threads and forked processes may share it.

    Args:
        database_url: as `RECEIVER_DATABASE_URL`. A SQLite file is created and migrated at once; a PostgreSQL
            database needs `receiver migrate`.
        source: the account that the client's API key belongs to, as the receiver calls it.

    Raises:
        ConfigError: the database URL is not usable.
        StoreUnavailable: the SQLite file could not be migrated.
    """
    engine = connect(database_url, busy_timeout_s=_LEDGER_PATIENCE_S)
    ledger = StoreLedger(engine, source)
    ledger.migrate()
    return ledger


def open_pace(database_url: str) -> StorePace:
    """Open the shared rate limit of an API key, for `Client(pace=…)`, in a migrated database.

    Raises:
        ConfigError: the database URL is not usable.
    """
    return StorePace(connect(database_url, busy_timeout_s=_PACE_PATIENCE_S))


def build_ledger(settings: Settings) -> StoreLedger:
    """Open the ledger of submissions next to the events.

    Raises:
        ConfigError: the database URL is not usable.
        StoreUnavailable: the SQLite file could not be migrated.
    """
    return open_ledger(settings.database_url.get_secret_value())


@dataclass(frozen=True, slots=True)
class Shared:
    """The ledger and the pace that programs on one database share."""

    pace: StorePace
    events: StoreLedger

    def close(self) -> None:
        """Close every connection."""
        self.pace.close()
        self.events.close()


def open_shared(settings: Settings) -> Shared | None:
    """Return the ledger and pace in the database, for a client; None if there is no database yet.

    Nothing is created or migrated, and a failing database does not delay requests for long.
    """
    url = settings.database_url.get_secret_value()
    if not database_exists(url):
        return None
    engine = connect(url, busy_timeout_s=_PACE_PATIENCE_S)
    events = StoreLedger(engine, DEFAULT_SOURCE)
    return Shared(StorePace(engine), events)


def differences(wanted: Submission, found: Generation) -> list[str]:
    """List how *found* differs from the request; missing values do not count."""
    asked = {"type": wanted.kind, **{name: wanted.request.get(name) for name in ("model", "prompt")}}
    made = {"type": found.type, "model": found.model, "prompt": found.prompt}
    return [
        f"its {name} is {made[name]!r}, not {asked[name]!r}"
        for name in asked
        if None not in {asked[name], made[name]} and asked[name] != made[name]
    ]


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
            sent_at = _in_doubt(ledger, client_ref).sent_at
            ledger.settle(client_ref, state="refused", error="abandoned", sent_at=sent_at)
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
