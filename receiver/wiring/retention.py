"""How long what is done with is kept."""

from typing import TYPE_CHECKING, Final

from receiver.errors import ConfigError
from receiver.operations.pruning import Retention
from receiver.settings import Settings, variable

if TYPE_CHECKING:
    from receiver.store.retention import What

_DAY_MS: Final = 24 * 3600 * 1000


def build_retention(settings: Settings) -> Retention:
    """Return what to prune, and when.

    Raises:
        ConfigError: deliveries would go before the bodies, and a backfill would make them again.
    """
    days: dict[What, int] = {
        "bodies": settings.keep_bodies_days,
        "retained": settings.keep_bodies_days,
        "deliveries": settings.keep_deliveries_days,
        "quarantine": settings.keep_quarantine_days,
        "operations": settings.keep_operations_days,
    }
    if days["deliveries"] and not 0 < days["bodies"] <= days["deliveries"]:
        raise ConfigError(
            f"{variable('keep_deliveries_days')} must be 0 or at least {variable('keep_bodies_days')}:"
            " deliveries must be kept at least as long as bodies"
        )
    return Retention({what: _DAY_MS * kept for what, kept in days.items() if kept}, settings.prune_per_s)
