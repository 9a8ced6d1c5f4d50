"""`receiver quarantine`, over a store with bodies that could not be read."""

from pathlib import Path

import pytest

from receiver.store import Store
from tests.stored import NOW, a_body
from tests.unit.cli.running import Run
from tests.unit.cli.stored import in_store

READABLE = '{"event": "generation.completed", "data": {"id": "gen_1"}}'


@pytest.fixture
def ids(run: Run, tmp_path: Path) -> list[str]:
    """Return a body that this release reads, and one that it does not."""
    bodies = a_body(READABLE), a_body("\x1b[31m https://h/x?sig=hush", at=NOW + 1)

    async def make(store: Store) -> list[str]:
        for body in bodies:
            await store.record(body)
        return [body.id for body in bodies]

    return in_store(tmp_path, make)


class TestList:
    def test_filters(self, run: Run, ids: list[str]) -> None:
        """By reason and state."""
        found = run("quarantine", "list", "--error", "generation", "--state", "open", "--json").objects
        assert [one["id"] for one in found] == ids[::-1]
        assert run("quarantine", "list", "--error", "not_json", "--json").objects == []


class TestShow:
    def test_prints_the_body(self, run: Run, ids: list[str]) -> None:
        """Which commands no terminal and has no query string."""
        ended = run("quarantine", "show", ids[1])
        assert "https://h/x?[redacted]" in ended.out
        assert "\x1b" not in ended.out

    def test_tells_what_is_not_there(self, run: Run) -> None:
        """A status of its own."""
        assert run("quarantine", "show", "none").status == 5


class TestRetry:
    def test_records_what_can_be_read(self, run: Run, ids: list[str]) -> None:
        """Once, and says which event it became."""
        assert run("quarantine", "retry", "--all", "--dry-run", "--json").object["changed"] == 1
        ended = run("quarantine", "retry", "--all", "--json")
        assert (ended.object["matched"], ended.object["changed"]) == (2, 1)
        (event,) = run("events", "list", "--json").objects
        assert (event["via"], event["generation_id"]) == ("quarantine", "gen_1")
        assert run("quarantine", "show", ids[0], "--json").object["event_id"] == event["id"]
        assert run("quarantine", "retry", "--all", "--json").object["changed"] == 0


class TestDrop:
    def test_can_be_taken_back(self, run: Run, ids: list[str]) -> None:
        """By the id of the operation."""
        operation = run("quarantine", "drop", ids[0], "--json").object
        assert run("quarantine", "retry", "--all", "--json").object["changed"] == 0
        assert run("operations", "cancel", operation["id"], "--json").object["restored"] == 1
        assert run("quarantine", "retry", "--all", "--json").object["changed"] == 1
