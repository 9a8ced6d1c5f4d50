"""A client that is used in processes forked from the one that made it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from receiver.sandbox import Knobs, Sandbox
from receiver.store import migrations
from receiver.store.engine import connect
from tests.acceptance.forking_program import CALLS, CHILDREN


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that has been migrated."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    url = str(request.getfixturevalue("postgres_database"))
    migrations.migrate(engine := connect(url))
    engine.dispose()
    return url


class TestForkedClient:
    def test_each_process_gets_its_own_answers(self, url: str) -> None:
        """Ledger, pace and connections are the child's own, and the parent's go on working."""
        knobs = Knobs(rate_limit=1_000_000, image_delay_s=0.01)
        with Sandbox(knobs=knobs) as sandbox:
            program = [sys.executable, "-m", "tests.acceptance.forking_program"]
            run = subprocess.run(
                [*program, sandbox.key(), sandbox.url, url],
                cwd=Path(__file__).parents[2],
                capture_output=True,
                text=True,
                timeout=150,
                check=False,
            )
            charges = sandbox.charges()
        assert run.returncode == 0, run.stderr
        *children, parent = map(json.loads, run.stdout.splitlines())
        assert parent["statuses"] == [0] * CHILDREN, run.stderr
        assert parent["parent"][0] == parent["parent"][1]
        assert sorted(told["child"] for told in children) == list(range(CHILDREN))
        for told in children:
            assert all(asked == answered for asked, answered in told["pairs"])
        assert charges == CALLS + CHILDREN * CALLS
