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
        assert "This will drop 1 dead letters. Go on?" in ended.err
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
        assert "Go on?" not in ended.err
