"""Nobody without a secret can keep genuine deliveries out. `make chaos` has the long form, and figures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.service import Service, service
from tests.chaos.hostile import ATTACKS, attacked

WITHIN_MS = 2000
"""For half of them, on a busy machine; what this is about took 3,000 to 24,000."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("web")) as offered:
        offered.start("web")
        yield offered


class TestHostileClients:
    @pytest.mark.parametrize("name", ["forged brackets", "forged few values, long", *list(ATTACKS)[10:]])
    def test_genuine_deliveries_go_on(self, web: Service, name: str) -> None:
        """64 connections of strangers: genuine deliveries are 200, and soon; memory and log are bounded."""
        seen = attacked(web, name, seconds=1)
        assert set(seen.answers) == {"200"}, seen
        assert seen.p50_ms < WITHIN_MS, seen
        assert seen.more_memory_mib < 20, seen
        assert seen.log_lines <= 200, seen


def test_restart_leaves_nothing(tmp_path: Path) -> None:
    """A process that was attacked stops like any other."""
    with service(tmp_path) as offered:
        process = offered.start("web")
        attacked(offered, "slow bodies", seconds=1)
        process.terminate()
        assert process.wait(60) == 0
