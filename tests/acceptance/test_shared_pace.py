"""Programs on one database keep the provider's limit together."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import SecretStr

from receiver.sandbox import Knobs, Sandbox
from receiver.settings import Settings
from receiver.wiring.ledgers import build_ledger
from tests.acceptance.pacing_program import AT_ONCE, STOP
from tests.servers import warm
from tests.waiting.blocking import until

WINDOW_S = 4
LIMIT = 60


def together(sandbox: Sandbox, database_url: str, folder: Path, priorities: Sequence[str]) -> list[int]:
    """Run a program of each priority; return how often each was answered.

    They stop after two windows, or later: once every thread that somebody waits for got on.
    """
    folder.mkdir()
    words = ("tests.acceptance.pacing_program", sandbox.key(), sandbox.url, database_url)
    waited_for = priorities.count("interactive") * AT_ONCE
    with ThreadPoolExecutor(len(priorities)) as pool:
        printing = [pool.submit(printed, [*words, priority, f"{folder}"]) for priority in priorities]
        try:
            until(
                lambda: len(sandbox.seen) >= 2 * LIMIT and len([*folder.glob("interactive *")]) == waited_for
            )
        finally:
            (folder / STOP).touch()
        return [each.result() for each in printing]


def printed(words: Sequence[str]) -> int:
    done = warm.run(words, cwd=Path(__file__).parents[2], env=os.environ)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


class TestSharedPace:
    def test_three_programs_are_never_refused(self, tmp_path: Path) -> None:
        """Two that somebody waits for, and one in the background: no 429, and neither starves the other."""
        url = f"sqlite:///{tmp_path}/receiver.db"
        build_ledger(Settings(database_url=SecretStr(url))).close()
        with Sandbox(knobs=Knobs(rate_limit=LIMIT, rate_window_s=WINDOW_S)) as sandbox:
            answered = together(sandbox, url, tmp_path / "told", ["background", "interactive", "interactive"])
            statuses = [seen.status for seen in sandbox.seen]
        assert 429 not in statuses
        assert len(statuses) == sum(answered)
