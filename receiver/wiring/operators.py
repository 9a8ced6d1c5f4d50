"""The store, for commands that look or change what is there, and record nothing new."""

from receiver.operations.next_try import Configured
from receiver.settings import Settings
from receiver.store import Store


def build_configured(settings: Settings) -> Configured:
    """Return what the settings say that work depends on."""
    kinds = {
        name: options.get("url", "").strip().partition(":")[0].lower()
        for name, options in settings.destinations.items()
    }
    own = tuple(name for name, account in settings.sources.items() if account.assets_url)
    return Configured(kinds, own, settings.lease_s)


def open_store(settings: Settings) -> Store:
    """Open the store without what recording takes; an embedded SQLite database is brought up to date at once.

    Raises:
        ConfigError: the database URL is not usable.
        StoreUnavailable: the embedded database could not be migrated.
    """
    store = Store(settings.database_url.get_secret_value(), destinations=tuple(settings.destinations))
    if store.is_embedded:
        store.migrate()
    return store
