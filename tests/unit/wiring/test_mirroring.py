"""How an asset is mirrored: in time, or late."""

import pytest

from receiver.wiring.mirroring import mirror_rules
from tests.unit.wiring.configured import settings


class TestMirrorRules:
    @pytest.mark.parametrize(("patience_s", "first_s"), [(3.0, 3.0), (24 * 3600.0, 600.0)])
    def test_short_patience_is_short_for_late_assets_too(self, patience_s: float, first_s: float) -> None:
        """The first pause of a late asset is ten minutes, or the patience if that is shorter."""
        rules = mirror_rules(settings(asset_patience_s=patience_s, asset_late_s=60.0))
        assert (rules.patience_s, rules.late_s, rules.late_backoff.first_s) == (patience_s, 60.0, first_s)
