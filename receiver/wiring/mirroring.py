"""How assets are mirrored, in time or late."""

import random
import secrets
from functools import partial
from typing import Final

from receiver import clock
from receiver.assets import Bucket
from receiver.backoff import Backoff
from receiver.mirror import Fetch, Mirror, MirrorLate, MirrorRules, Refresh
from receiver.settings import Settings
from receiver.wiring.assets import build_key_template

_LATE_FIRST_S: Final = 600.0
_LATE_MAX_S: Final = 6 * 3600.0


def build_mirror(settings: Settings, fetch: Fetch, bucket: Bucket, refresh: Refresh | None) -> Mirror:
    """Return the mirror from asset hosts into *bucket*; *refresh* gets a new URL.

    Raises:
        ConfigError: the key template is wrong.
    """
    return Mirror(fetch, bucket, mirror_rules(settings), clock.now_ms, random.random, refresh)


def build_mirror_late(mirror: Mirror) -> MirrorLate:
    """Return the mirror for assets whose events were sent without them."""
    return MirrorLate(mirror, partial(secrets.token_bytes, 10))


def mirror_rules(settings: Settings) -> MirrorRules:
    """Return how long to retry an asset, and how to name it.

    Raises:
        ConfigError: the key template is wrong.
    """
    patience_s = settings.asset_patience_s
    # An operator with little patience for an asset also wants to hear of it soon.
    late = Backoff(first_s=min(_LATE_FIRST_S, patience_s), max_s=_LATE_MAX_S)
    keys = build_key_template(settings)
    return MirrorRules(
        patience_s=patience_s,
        grace_s=settings.asset_grace_s,
        keys=keys,
        late_s=settings.asset_late_s,
        late_backoff=late,
    )
