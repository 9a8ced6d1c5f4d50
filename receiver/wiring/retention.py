"""How long finished data is kept, and what erases it before."""

from functools import partial
from typing import TYPE_CHECKING, Final

from receiver.assets.by_source import BucketsBySource
from receiver.errors import ConfigError, variable
from receiver.operations.erasing import Erasing
from receiver.operations.pruning import Retention
from receiver.settings import Settings
from receiver.store import Store
from receiver.wiring.assets import open_kept
from receiver.wiring.sources import source_names

if TYPE_CHECKING:
    from receiver.store.retention import What

_DAY_MS: Final = 24 * 3600 * 1000
_OUTLIVING: Final[tuple["What", ...]] = ("deliveries", "submissions")


def build_retention(settings: Settings) -> Retention:
    """Return what to prune, and when.

    Raises:
        ConfigError: deliveries would be pruned before bodies, and a backfill would make them again; or
            submissions would, and a replay would lack them; or a file could belong to several generations.
    """
    days: dict[What, int] = {
        "bodies": settings.keep_bodies_days,
        "retained": settings.keep_bodies_days,
        "deliveries": settings.keep_deliveries_days,
        "quarantine": settings.keep_quarantine_days,
        "operations": settings.keep_operations_days,
        "submissions": settings.keep_submissions_days,
    }
    for what in _OUTLIVING:
        if days[what] and not 0 < days["bodies"] <= days[what]:
            raise ConfigError(
                f"{variable(f'keep_{what}_days')} must be 0 or at least {variable('keep_bodies_days')}:"
                f" {what} must be kept at least as long as bodies"
            )
    return Retention(
        {what: _DAY_MS * kept for what, kept in days.items() if kept},
        settings.prune_per_s,
        _assets_ms(settings),
    )


def _assets_ms(settings: Settings) -> int | None:
    if not settings.keep_assets_days:
        return None
    if not any(f"{{{name}}}" in settings.assets_key for name in ("generation_id", "event_id")):
        raise ConfigError(
            f"{variable('keep_assets_days')} needs {{generation_id}} or {{event_id}} in"
            f" {variable('assets_key')}: without them, other generations may need the same file"
        )
    return _DAY_MS * settings.keep_assets_days


def build_erasing(settings: Settings, store: Store, buckets: BucketsBySource) -> Erasing:
    """Return what erases generations of every configured source."""
    return Erasing(store, buckets, partial(open_kept, settings), source_names(settings))
