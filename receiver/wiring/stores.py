"""The store, and the routing it uses to decide which destinations want an event."""

from receiver import routing
from receiver.routing import Router, Routing
from receiver.settings import Settings
from receiver.store import Store
from receiver.wiring.sources import DEFAULT_SOURCE


def build_store(settings: Settings, *, settles_at_once: bool = False) -> Store:
    """Open the store; an embedded SQLite database is migrated at once.

    A process that also forwards settles events without an asset as it records them.

    Raises:
        ConfigError: the database URL is unusable, or a destination's routing option is wrong.
        StoreUnavailable: the embedded database could not be migrated.
    """
    routings = build_routings(settings)
    url = settings.database_url.get_secret_value()
    store = Store(url, destinations=tuple(routings), route=Router(routings), settles_at_once=settles_at_once)
    if store.is_embedded:
        store.migrate()
    return store


def reroute(settings: Settings, store: Store) -> None:
    """Have *store* fan out by *settings* from now on.

    Raises:
        ConfigError: a destination's routing option is wrong.
    """
    routings = build_routings(settings)
    store.reroute(tuple(routings), Router(routings))


def build_routings(settings: Settings) -> dict[str, Routing]:
    """Return what each destination wants.

    Raises:
        ConfigError: an expression or a name is wrong; the message names the setting.
    """
    sources = {DEFAULT_SOURCE, *settings.sources}
    routings = {name: routing.take(name, options)[0] for name, options in settings.destinations.items()}
    for name, wanted in routings.items():
        routing.check_sources(name, wanted, sources)
    return routings
