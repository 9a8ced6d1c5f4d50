"""The console, with everything that it shows and does."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import SecretStr
from starlette.types import ASGIApp

from receiver import clock, routing
from receiver.admin.runner import Runner
from receiver.client import Client, InvalidParameter, Ledger, Submission
from receiver.console.app import open_console
from receiver.console.parts import BucketAddress, Parts, Setting, Target
from receiver.destinations import Message
from receiver.destinations.policy import DeliveryPolicy
from receiver.errors import ConfigError, variable
from receiver.events import SOURCE_PREFIX, TYPE_PREFIX, event_id
from receiver.outcomes import Outcome
from receiver.routing import Router, Routing
from receiver.settings import Settings
from receiver.store import Store
from receiver.telemetry.redact import redact
from receiver.telemetry.refusals import Refusals
from receiver.wiring.accounts import pace_names
from receiver.wiring.assets import open_bucket, own_bucket_urls
from receiver.wiring.destinations import build_destination
from receiver.wiring.ledgers import build_ledger, differences
from receiver.wiring.stores import build_routings

_TEST_TYPE: Final = f"{TYPE_PREFIX}receiver.test"
_FINGERPRINT_CHARS: Final = 8
_PLAIN_OPTIONS: Final = {field.name for kind in (DeliveryPolicy, Routing) for field in fields(kind)}
"""Options of a destination that hold no secret, whatever its kind."""


@asynccontextmanager
async def build_console(
    settings: Settings, store: Store, refusals: Refusals, runner: Runner, token: str
) -> AsyncIterator[ASGIApp]:
    """Offer the console.

    Raises:
        ConfigError: a bucket's address, or a destination's routing, is wrong.
    """
    async with AsyncExitStack() as stack:
        buckets = open_bucket(settings)
        stack.push_async_callback(buckets.aclose)
        parts = Parts(
            store,
            refusals,
            runner,
            targets={name: _target(name, options) for name, options in settings.destinations.items()},
            route=Router(build_routings(settings)),
            buckets=buckets,
            addresses=_addresses(settings),
            desk=LedgerDesk(settings),
            settings=list(effective(settings)),
            folders=_folders(settings, store),
            late_s=settings.asset_late_s or settings.asset_patience_s,
            paces=pace_names(settings),
        )
        yield await stack.enter_async_context(open_console(parts, token))


@dataclass(frozen=True, slots=True)
class LedgerDesk:
    """Settles submissions of the default source. Blocking work is done in a thread."""

    settings: Settings

    async def adopt(self, client_ref: str, generation_id: str) -> None:
        """Write down that a submission became this generation."""
        await asyncio.to_thread(self._adopt, client_ref, generation_id)

    async def abandon(self, client_ref: str) -> None:
        """Write down that a submission was never accepted."""
        await asyncio.to_thread(self._abandon, client_ref)

    def _adopt(self, client_ref: str, generation_id: str) -> None:
        with closing(build_ledger(self.settings)) as ledger, self._client(ledger) as client:
            wanted = _in_doubt(ledger, client_ref)
            if mismatch := differences(wanted, client.generations.get(generation_id)):
                raise InvalidParameter("generation_id", f"is not what was asked for: {'; '.join(mismatch)}")
            client.generate.adopt(client_ref, generation_id)

    def _abandon(self, client_ref: str) -> None:
        with closing(build_ledger(self.settings)) as ledger:
            _in_doubt(ledger, client_ref)
            ledger.settle(client_ref, state="refused", error="abandoned")

    def _client(self, ledger: Ledger) -> Client:
        key = self.settings.api_key.get_secret_value() if self.settings.api_key else ""
        if not key:
            raise ConfigError(f"{variable('api_key')} is not set: the provider cannot be asked")
        return Client(key, base_url=self.settings.api_base_url, ledger=ledger)


def _in_doubt(ledger: Ledger, client_ref: str) -> Submission:
    found = ledger.get(client_ref)
    if found is None or found.state in ("submitted", "refused"):
        raise InvalidParameter("client_ref", "names no submission that is in doubt")
    return found


def _target(name: str, options: Mapping[str, str]) -> Target:
    kind = options.get("url", "").strip().partition(":")[0].lower()
    return Target(kind, partial(_send_test, name, options))


async def _send_test(name: str, options: Mapping[str, str]) -> Outcome:
    _, own = routing.take(name, options)
    async with aclosing(build_destination(name, own)) as destination:
        [outcome] = await destination.send([_test_message()])
    return outcome


def _test_message() -> Message:
    id_ = event_id(clock.now_ms(), secrets.token_bytes(10))
    body = {
        "specversion": "1.0",
        "id": id_,
        "source": f"{SOURCE_PREFIX}console",
        "type": _TEST_TYPE,
        "subject": "test",
        "datacontenttype": "application/json",
        "data": {"message": "A test message, sent from the console of receiver."},
    }
    return Message(id_, "console", "test", _TEST_TYPE, "unknown", orjson.dumps(body))


def _addresses(settings: Settings) -> list[BucketAddress]:
    own = [BucketAddress(name, redact(url)) for name, url in own_bucket_urls(settings).items()]
    return [BucketAddress("*", redact(settings.assets_url)), *own]


def _folders(settings: Settings, store: Store) -> dict[str, Path]:
    folders = {"Spool": Path(settings.spool_dir).resolve()}
    if store.is_embedded and store.engine.url.database:
        folders["Database"] = Path(store.engine.url.database).resolve().parent
    return folders


def effective(settings: Settings) -> Iterator[Setting]:
    """Yield every setting as it is in effect; of a secret its fingerprint alone."""
    for name, field in Settings.model_fields.items():
        if name not in ("sources", "destinations"):
            value = getattr(settings, name)
            yield _setting(variable(name), value, is_default=value == field.default)
    for source, account in settings.sources.items():
        for name in type(account).model_fields:
            value = getattr(account, name)
            yield _setting(variable("sources", source, name), value, is_default=value is None)
    for destination, options in settings.destinations.items():
        for name, text in options.items():
            yield _option(destination, name, text)


def _option(destination: str, name: str, text: str) -> Setting:
    full = variable("destinations", destination, name)
    if name.lower() in _PLAIN_OPTIONS:
        return Setting(full, text, is_secret=False, is_default=False)
    if name.lower() == "url":
        scheme = text.partition(":")[0]
        return Setting(full, f"{scheme}:… ({fingerprint(text)})", is_secret=True, is_default=False)
    return Setting(full, fingerprint(text), is_secret=True, is_default=False)


def _setting(name: str, value: Any, *, is_default: bool) -> Setting:
    if isinstance(value, SecretStr):
        return Setting(name, fingerprint(value.get_secret_value()), is_secret=True, is_default=is_default)
    if isinstance(value, tuple) and any(isinstance(one, SecretStr) for one in value):
        marks = ", ".join(fingerprint(one.get_secret_value()) for one in value)
        return Setting(name, marks, is_secret=True, is_default=is_default)
    if isinstance(value, tuple):
        value = ", ".join(map(str, value)) or None
    return Setting(
        name, "not set" if value is None else redact(str(value)), is_secret=False, is_default=is_default
    )


def fingerprint(secret: str) -> str:
    """Return what tells two secrets apart and gives neither away."""
    if not secret:
        return "not set"
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:_FINGERPRINT_CHARS]}"
