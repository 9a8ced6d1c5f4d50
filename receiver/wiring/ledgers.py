"""What programs on one database write down for each other about the provider."""

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
"""A request does not wait longer for a database that is busy: it paces itself then."""
_LEDGER_PATIENCE_S: Final = 30.0
"""What was paid for must be written down, however busy the database is."""


def open_ledger(database_url: str, *, source: str = DEFAULT_SOURCE) -> StoreLedger:
    """Open a ledger for `Client(ledger=…)`, in the database of a receiver or in one of its own.

    Close it when no client uses it any more. Threads and forked processes may share it.

    Args:
        database_url: as `RECEIVER_DATABASE_URL`. A SQLite file is made, and brought up to date at once; a
            PostgreSQL database is left to `receiver migrate`.
        source: the account that the client's API key belongs to, as the receiver calls it.

    Raises:
        ConfigError: the database URL is not usable.
        StoreUnavailable: the SQLite file could not be brought up to date.
    """
    engine = connect(database_url, busy_timeout_s=_LEDGER_PATIENCE_S)
    ledger = StoreLedger(engine, source)
    ledger.migrate()
    return ledger


def open_pace(database_url: str) -> StorePace:
    """Open what shares an API key's rate limit, for `Client(pace=…)`, in a database that has been migrated.

    Raises:
        ConfigError: the database URL is not usable.
    """
    return StorePace(connect(database_url, busy_timeout_s=_PACE_PATIENCE_S))


def build_ledger(settings: Settings) -> StoreLedger:
    """Open the ledger of submissions beside the events.

    Raises:
        ConfigError: the database URL is not usable.
        StoreUnavailable: the SQLite file could not be brought up to date.
    """
    return open_ledger(settings.database_url.get_secret_value())


@dataclass(frozen=True, slots=True)
class Shared:
    """What programs on one database tell each other about the provider."""

    pace: StorePace
    events: StoreLedger

    def close(self) -> None:
        """Close every connection."""
        self.pace.close()
        self.events.close()


def open_shared(settings: Settings) -> Shared | None:
    """Return what the database knows for a client; None if there is none yet.

    Nothing is created or migrated, and a database that fails makes no request wait for long.
    """
    url = settings.database_url.get_secret_value()
    if not database_exists(url):
        return None
    engine = connect(url, busy_timeout_s=_PACE_PATIENCE_S)
    events = StoreLedger(engine, DEFAULT_SOURCE)
    return Shared(StorePace(engine), events)


def differences(wanted: Submission, found: Generation) -> list[str]:
    """Say in what *found* is not what was asked for; what either of them does not tell is no difference."""
    asked = {"type": wanted.kind, **{name: wanted.request.get(name) for name in ("model", "prompt")}}
    made = {"type": found.type, "model": found.model, "prompt": found.prompt}
    return [
        f"its {name} is {made[name]!r}, not {asked[name]!r}"
        for name in asked
        if None not in {asked[name], made[name]} and asked[name] != made[name]
    ]
