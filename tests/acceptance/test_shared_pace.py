"""Programs on one database keep the provider's limit together."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import SecretStr

from receiver.sandbox import Knobs, Sandbox
from receiver.settings import Settings
from receiver.wiring.ledgers import build_ledger
from tests.servers import warm

WINDOW_S = 4
SECONDS = 10


def together(sandbox: Sandbox, database_url: str, priorities: Sequence[str]) -> list[int]:
    """Run a program of each priority at the same time; return how often each was answered."""
    key = sandbox.key()
    words = ("tests.acceptance.pacing_program", key, sandbox.url, database_url)
    with ThreadPoolExecutor(len(priorities)) as pool:
        return [*pool.map(lambda priority: printed([*words, priority, str(SECONDS)]), priorities)]


def printed(words: Sequence[str]) -> int:
    done = warm.run(words, cwd=Path(__file__).parents[2], env=os.environ)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


class TestSharedPace:
    def test_three_programs_are_never_refused(self, tmp_path: Path) -> None:
        """Two that somebody waits for, and one in the background: no 429, and neither starves the other."""
        url = f"sqlite:///{tmp_path}/receiver.db"
        build_ledger(Settings(database_url=SecretStr(url))).close()
        with Sandbox(knobs=Knobs(rate_limit=60, rate_window_s=WINDOW_S)) as sandbox:
            answered = together(sandbox, url, ["background", "interactive", "interactive"])
            refused = sum(seen.status == 429 for seen in sandbox.seen)
            asked = len(sandbox.seen)
        assert refused == 0
        assert asked == sum(answered) >= 60 * 2
        assert min(answered[1:]) >= 20
