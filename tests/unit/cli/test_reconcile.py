"""`receiver reconcile`, against a provider on loopback."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from receiver.client import Client
from receiver.sandbox import Knobs, Sandbox
from tests.unit.cli.running import Run, nothing_is_sent


@pytest.fixture
def knobs() -> Knobs:
    """How `sandbox` behaves: it finishes at once and sends no webhook."""
    return Knobs(progression="immediate", loss_rate=1.0, rate_limit=100_000)


@pytest.fixture
def made(sandbox: Sandbox) -> set[str]:
    with Client(sandbox.key(), base_url=sandbox.url) as client:
        return {client.generate.image(f"a lighthouse, {n}").id for n in range(3)}


def recorded(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "data/receiver.db")) as connection, connection:
        return {
            row[0] for row in connection.execute("SELECT generation_id FROM event WHERE via = 'reconcile'")
        }


class TestReconcile:
    def test_records_what_is_missing(self, ask: Run, made: set[str], tmp_path: Path) -> None:
        """The report names what was recorded; a second time nothing is missing."""
        first = ask("reconcile", "--json")
        assert first.status == 0, first.err
        assert set(first.object["recorded"]) == made == recorded(tmp_path)
        assert (first.object["source"], first.object["complete"], first.object["error"]) == (
            "photoverse",
            True,
            None,
        )
        assert ask("reconcile", "--json").object["recorded"] == []

    def test_dry_run_writes_nothing(self, ask: Run, made: set[str], tmp_path: Path) -> None:
        """What is missing is told, and still is afterwards."""
        for _ in range(2):
            assert set(ask("reconcile", "--dry-run", "--json").object["recorded"]) == made
        assert recorded(tmp_path) == set()

    def test_table(self, ask: Run, made: set[str]) -> None:
        """Without --json there is one line for each source, with counts."""
        heading, line = ask("reconcile").out.splitlines()
        assert heading.split("\t")[0] == "source"
        assert line.split("\t")[5] == str(len(made))

    def test_max_requests(self, ask: Run, made: set[str]) -> None:
        """A pass that may not ask enough says that it is not complete; the next one goes on."""
        assert ask("reconcile", "--max-requests", "1", "--json").object["complete"] is False
        assert ask("reconcile", "--json").object["complete"] is True

    @pytest.mark.parametrize("since", ["2h", "2025-01-09T12:00:00Z", "2025-01-09"])
    def test_since(self, ask: Run, made: set[str], since: str) -> None:
        """An earlier time may be asked for, as a time or an age."""
        ask("reconcile")
        told = ask("reconcile", "--since", since, "--json").object
        assert (told["seen"], told["recorded"], told["complete"]) == (3, [], True)

    @nothing_is_sent
    @pytest.mark.parametrize("since", ["tomorrow", "5", "h", "-3h"])
    def test_unusable_since(self, ask: Run, since: str) -> None:
        """Anything else is refused before the provider is asked."""
        assert ask("reconcile", f"--since={since}").status == 2

    def test_needs_a_key(self, run: Run) -> None:
        """Without a key nobody can be asked, and the message says which to set."""
        ended = run("reconcile")
        assert (ended.status, "RECEIVER_API_KEY" in ended.err) == (2, True)

    def test_refusing_provider(self, ask: Run) -> None:
        """A refusal is reported, and is the exit status."""
        ended = ask("reconcile", "--json", RECEIVER_API_KEY="avs_live_wrong")
        assert (ended.status, ended.object["error"]) == (3, "invalid_api_key")

    def test_while_a_worker_is_at_it(self, ask: Run, tmp_path: Path) -> None:
        """Two at once would only compete for the rate limit."""
        ask("reconcile")
        with closing(sqlite3.connect(tmp_path / "data/receiver.db")) as connection, connection:
            connection.execute("UPDATE reconcile SET lease = 'theirs', due_ms = 9999999999999")
        ended = ask("reconcile")
        assert "A worker is reconciling photoverse" in ended.err
