"""What programs on one database share about the provider."""

from dataclasses import dataclass
from typing import Final

from receiver.client.results import Generation
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
