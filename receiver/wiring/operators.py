"""The store for commands that read or change existing data, but receive nothing."""

from receiver.operations.next_try import Configured
from receiver.settings import Settings
from receiver.store import Store


def build_configured(settings: Settings) -> Configured:
    """Return the settings that work depends on."""
    kinds = {
        name: options.get("url", "").strip().partition(":")[0].lower()
        for name, options in settings.destinations.items()
    }
    own = tuple(name for name, account in settings.sources.items() if account.assets_url)
    return Configured(kinds, own, settings.lease_s)


def open_store(settings: Settings) -> Store:
    """Open the store without the parts for recording; an embedded SQLite database is migrated at once.

    Raises:
        ConfigError: the database URL is not usable.
        StoreUnavailable: the embedded database could not be migrated.
    """
    store = Store(settings.database_url.get_secret_value(), destinations=tuple(settings.destinations))
    if store.is_embedded:
        store.migrate()
    return store
