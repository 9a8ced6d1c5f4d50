"""What every command that changes many rows asks before it does."""

from pathlib import Path

import pytest

from receiver.cli import bulk
from tests.stored import an_event, dead
from tests.unit.cli.running import Run
from tests.unit.cli.stored import in_store


@pytest.fixture(autouse=True)
def letter(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put a person before a terminal, and a dead letter into the store."""
    monkeypatch.setattr(bulk, "_is_watched", lambda: True)
    (id_,) = in_store(tmp_path, lambda store: dead(store, an_event()))
    return id_


class TestCarryOut:
    def test_asks_with_the_count(self, run: Run) -> None:
        """No is no."""
        ended = run("deliveries", "drop", "--all", stdin="n\n")
        assert "This will drop 1 dead letters. Continue?" in ended.err
        assert (ended.status, ended.out) == (0, "")
        assert "Nothing was done." in ended.err
        assert run("operations", "list", "--json").objects == []

    def test_yes_is_yes(self, run: Run) -> None:
        """Then it is done."""
        ended = run("deliveries", "drop", "--all", "--json", stdin="y\n")
        assert ended.object["changed"] == 1

    @pytest.mark.parametrize("by_id", [False, True])
    def test_does_not_ask_whoever_has_said_it(self, run: Run, letter: str, by_id: bool) -> None:
        """With --yes, or by naming what is meant."""
        words = [letter] if by_id else ["--all", "--yes"]
        ended = run("deliveries", "drop", *words, "--json")
        assert ended.object["changed"] == 1
        assert "Continue?" not in ended.err

    @pytest.mark.parametrize("form", [["--dry-run"], ["--yes"]])
    def test_a_mistyped_destination_is_refused(self, run: Run, form: list[str]) -> None:
        """Nothing matched would look like nothing left to do."""
        ended = run("deliveries", "retry", "--destination", "order", "--all", *form)
        assert ended.status == 2
        assert "Did you mean 'orders'?" in ended.err
        assert run("operations", "list", "--json").objects == []

    @pytest.mark.parametrize("form", [["--dry-run"], ["--yes"]])
    @pytest.mark.parametrize("command", [("deliveries", "retry"), ("events", "replay")])
    def test_a_mistyped_id_is_told(self, run: Run, command: tuple[str, str], form: list[str]) -> None:
        """With the status of what is not found."""
        ended = run(*command, "nosuchid", *form, RECEIVER_DESTINATIONS__ORDERS__URL="stdout:")
        assert ended.status == 5
        assert "nosuchid" in ended.err

    @pytest.mark.parametrize("rate", ["nan", "-1", "inf", "1e9"])
    def test_a_rate_is_a_number(self, run: Run, rate: str) -> None:
        """What is none would be stored as none, which means all at once."""
        ended = run("deliveries", "retry", "--all", "--yes", "--rate", rate)
        assert ended.status == 2
        assert "--rate" in ended.err
