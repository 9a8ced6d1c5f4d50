"""The provider accounts that the worker may query, and how often."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from receiver.client import AsyncClient
from receiver.client.config import configure
from receiver.client.shared_pace import pace_name
from receiver.settings import Settings
from receiver.wiring.ledgers import open_shared
from receiver.wiring.sources import DEFAULT_SOURCE
from receiver.worker.reconcile_pass import Account
from receiver.worker.reconciling import ReconcileRules


@asynccontextmanager
async def open_accounts(settings: Settings) -> AsyncIterator[list[Account]]:
    """Provide the sources that have an API key, for work that gives way to waiting callers.

    Raises:
        ConfigError: a key or the base URL is invalid.
    """
    shared = open_shared(settings)
    pace = None if shared is None else shared.pace
    async with AsyncExitStack() as stack:
        if shared is not None:
            stack.callback(shared.close)
        accounts = []
        for name, key in _api_keys(settings).items():
            client = AsyncClient(key, base_url=settings.api_base_url, priority="background", pace=pace)
            await stack.enter_async_context(client)
            accounts.append(Account(name, client.generations))
        yield accounts


def pace_names(settings: Settings) -> dict[str, str]:
    """Return the sources that have an API key, by the name under which the key's pace is kept.

    Raises:
        ConfigError: a key or the base URL is invalid.
    """
    return {
        pace_name(
            configure(key, base_url=settings.api_base_url, webhook_url=None, timeout=None, max_retries=0)
        ): name
        for name, key in _api_keys(settings).items()
    }


def _api_keys(settings: Settings) -> dict[str, str]:
    keys = {name: account.api_key for name, account in settings.sources.items()}
    if settings.api_key is not None:
        keys[DEFAULT_SOURCE] = settings.api_key
    return {name: key.get_secret_value() for name, key in keys.items() if key and key.get_secret_value()}


def reconcile_rules(settings: Settings) -> ReconcileRules:
    """Return how often and how far back to reconcile."""
    return ReconcileRules(
        interval_s=settings.reconcile_interval_s,
        max_requests=settings.reconcile_requests,
        look_back_s=settings.reconcile_look_back_s,
    )
