"""How an asset is mirrored: in time, or late."""

import random
import secrets
from functools import partial
from typing import Final

from receiver import clock
from receiver.assets import Bucket
from receiver.backoff import Backoff
from receiver.mirror import Attempt, Fetch, MirrorRules, Refresh, mirror, mirror_late
from receiver.settings import Settings
from receiver.wiring.assets import build_key_template
from receiver.worker.mirroring import MirrorLate

_LATE_FIRST_S: Final = 600.0
_LATE_MAX_S: Final = 6 * 3600.0


def build_attempt(fetch: Fetch, bucket: Bucket, refresh: Refresh | None) -> Attempt:
    """Return the step that has one asset from its host into *bucket*; *refresh* asks for a new URL."""
    return partial(
        mirror, fetch=fetch, refresh=refresh, bucket=bucket, clock=clock.now_ms, chance=random.random
    )


def build_mirror_late(settings: Settings, attempt: Attempt) -> MirrorLate:
    """Return the step that tries for an asset whose event went without it."""
    entropy = partial(secrets.token_bytes, 10)
    return partial(mirror_late, attempt=attempt, rules=mirror_rules(settings), entropy=entropy)


def mirror_rules(settings: Settings) -> MirrorRules:
    """Return how long an asset is tried for, and how it is named.

    Raises:
        ConfigError: the template of the names is wrong.
    """
    patience_s = settings.asset_patience_s
    # Whoever waits only shortly for an asset wants to hear of it soon after, too.
    late = Backoff(first_s=min(_LATE_FIRST_S, patience_s), max_s=_LATE_MAX_S)
    keys = build_key_template(settings)
    return MirrorRules(
        patience_s=patience_s,
        grace_s=settings.asset_grace_s,
        keys=keys,
        late_s=settings.asset_late_s,
        late_backoff=late,
    )
