"""What operators are told, if a destination wants that; and fingerprints of secrets."""

from collections.abc import Mapping
from typing import Final

from receiver.settings import Settings
from receiver.store import Store
from receiver.telemetry.redact import fingerprint
from receiver.web.secret_use import SecretUse
from receiver.wiring.assets import watched_folders
from receiver.wiring.sources import DEFAULT_SOURCE
from receiver.wiring.stores import build_routings
from receiver.worker.bucket_gates import BucketGates
from receiver.worker.host_gates import HostGates
from receiver.worker.telling import Telling, TellingRules

_POLLS: Final = 10
"""Telling operators is less urgent than the work itself."""


def build_telling(
    settings: Settings, store: Store, spool: str, buckets: BucketGates, hosts: HostGates
) -> Telling | None:
    """Return what tells operators; None unless a destination names one of their event types."""
    if not is_wanted(settings):
        return None
    rules = TellingRules(
        every_s=_POLLS * settings.poll_s,
        backlog_s=settings.notice_backlog_s,
        disk_bytes=settings.notice_disk_bytes,
        secret_s=settings.notice_secret_s,
        lease_s=settings.lease_s,
    )
    return Telling(store, spool, buckets, hosts, watched_folders(settings), fingerprints(settings), rules)


def build_secret_use(settings: Settings, store: Store) -> SecretUse | None:
    """Return what records the use of secrets; None unless a destination names an event type for operators."""
    return SecretUse(store, fingerprints(settings), _POLLS * settings.poll_s) if is_wanted(settings) else None


def is_wanted(settings: Settings) -> bool:
    """Return whether a destination names an event type for operators."""
    return any(one.is_for_operators for one in build_routings(settings).values())


def fingerprints(settings: Settings) -> Mapping[str, list[str]]:
    """Return the fingerprints of each source's secrets, in configured order."""
    sources = {name: account.secrets for name, account in settings.sources.items()}
    if settings.webhook_secrets:
        sources[DEFAULT_SOURCE] = settings.webhook_secrets
    return {
        name: [fingerprint(secret.get_secret_value()) for secret in secrets]
        for name, secrets in sources.items()
    }
