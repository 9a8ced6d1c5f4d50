"""How long what is done with is kept."""

import pytest

from receiver.errors import ConfigError
from receiver.wiring.retention import build_retention
from tests.unit.wiring.configured import settings

DAY_MS = 24 * 3600 * 1000


class TestBuildRetention:
    def test_zero_keeps(self) -> None:
        """What is kept for no number of days is not pruned at all."""
        kept = build_retention(settings(keep_bodies_days=2, keep_deliveries_days=0, keep_quarantine_days=0))
        assert kept.keep_ms == {
            "bodies": 2 * DAY_MS,
            "retained": 2 * DAY_MS,
            "operations": 365 * DAY_MS,
            "submissions": 365 * DAY_MS,
        }

    @pytest.mark.parametrize("bodies", [0, 400])
    def test_deliveries_outlive_bodies(self, bodies: int) -> None:
        """Else a backfill would find a body that went nowhere, and send it again."""
        with pytest.raises(ConfigError, match="RECEIVER_KEEP_DELIVERIES_DAYS must be 0 or at least"):
            build_retention(settings(keep_bodies_days=bodies, keep_deliveries_days=365))

    def test_files_that_may_be_of_several_generations(self) -> None:
        """Named by their content alone, they cannot be deleted for their age."""
        assert build_retention(settings()).assets_ms is None
        assert build_retention(settings(keep_assets_days=30)).assets_ms == 30 * DAY_MS
        with pytest.raises(ConfigError, match="RECEIVER_KEEP_ASSETS_DAYS needs"):
            build_retention(settings(keep_assets_days=30, assets_key="{sha256}.{extension}"))

    def test_submissions_outlive_bodies(self) -> None:
        """Else a replay would lack what its caller noted with the submission."""
        with pytest.raises(ConfigError, match="RECEIVER_KEEP_SUBMISSIONS_DAYS must be 0 or at least"):
            build_retention(settings(keep_bodies_days=0, keep_deliveries_days=0, keep_submissions_days=365))
