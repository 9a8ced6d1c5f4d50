"""`receiver operations`: how far a bulk command is, and the way back."""

import getpass
from pathlib import Path

import pytest

from receiver import operations
from receiver.store import Store
from receiver.store.claim import renew
from receiver.store.filters import Filter
from receiver.store.operations import Operation, Order, find_operation
from tests.stored import FAR, an_event, claimed, dead, delivered
from tests.unit.cli.running import Run
from tests.unit.cli.stored import DESTINATIONS, in_store


@pytest.fixture
def begun(run: Run, tmp_path: Path) -> Operation:
    """Return a replay of two events that its process left before the first page."""

    async def make(store: Store) -> Operation:
        await delivered(store, an_event("gen_a"), an_event("gen_b"))
        return await operations.begin(store, Order("events.replay", Filter(), ("orders",), rate=0))

    return in_store(tmp_path, make)


class TestList:
    def test_prints_an_object_for_each(self, run: Run, begun: Operation) -> None:
        """With its filter and how far it is."""
        found = run("operations", "list", "--json").object
        assert (found["id"], found["kind"], found["state"]) == (begun.id, "events.replay", "running")
        assert found["destinations"] == ["orders"]


class TestResume:
    def test_goes_on(self, run: Run, begun: Operation) -> None:
        """To its end; again it does nothing."""
        assert run("operations", "resume", begun.id, "--json").object["changed"] == 2
        assert run("operations", "resume", begun.id, "--json").object["changed"] == 2
        assert run("operations", "show", begun.id, "--json").object["deliveries"] == {"pending": 2}


class TestCancel:
    def test_takes_back_what_was_not_delivered(self, run: Run, tmp_path: Path, begun: Operation) -> None:
        """And stops what is to come."""
        run("operations", "resume", begun.id)
        assert run("operations", "cancel", begun.id, "--json").object["restored"] == 2
        assert run("operations", "resume", begun.id, "--json").object["state"] == "cancelled"
        assert in_store(tmp_path, lambda store: claimed(store, at=FAR)) == []

    def test_says_what_is_under_way(self, run: Run, tmp_path: Path, begun: Operation) -> None:
        """What a worker holds is not torn from it."""
        run("operations", "resume", begun.id)

        async def hold(store: Store) -> None:
            jobs = await claimed(store, at=FAR)
            await store.transact_promptly(renew, [job.lease for job in jobs], until_ms=FAR)

        in_store(tmp_path, hold)
        ended = run("operations", "cancel", begun.id, "--wait", "0", "--json")
        assert (ended.object["restored"], ended.object["under_way"]) == (0, 2)
        assert "repeat" in ended.err

    @pytest.mark.parametrize("word", ["show", "resume", "cancel"])
    def test_tells_what_is_not_there(self, run: Run, word: str) -> None:
        """A status of its own."""
        assert run("operations", word, "none").status == 5


class TestInterrupt:
    def test_says_how_to_go_on(
        self, run: Run, tmp_path: Path, begun: Operation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C leaves it as far as it is: with both commands, status 130 and no traceback."""

        async def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(operations, "finish", interrupted)
        ended = run("operations", "resume", begun.id)
        assert ended.status == 130
        assert f"receiver operations resume {begun.id}" in ended.err
        assert f"receiver operations cancel {begun.id}" in ended.err
        assert "Traceback" not in ended.err
        found = in_store(tmp_path, lambda store: store.transact(find_operation, begun.id))
        assert found is not None
        assert found.state == "running"


EVENT = an_event("gen_1")


async def _some(store: Store) -> None:
    await dead(store, EVENT)
    await store.record(an_event("gen_2")._replace(asset_host="cdn.example.com"))


class TestAudit:
    def test_has_what_commands_did(self, run: Run, tmp_path: Path) -> None:
        """Who, what and on what, the latest first; a dry run and a look are no deeds."""
        in_store(tmp_path, _some)
        for words in (
            "destinations list",
            "deliveries retry --all --dry-run",
            "destinations backfill orders --dry-run",
            f"deliveries retry {EVENT.id} --destination orders",
            f"events replay {EVENT.id} --to audit",
            "destinations pause orders --reason moving",
            "destinations resume orders",
            "destinations backfill orders",
            "events mirror-now gen_2",
            "events release gen_2",
        ):
            assert run(*words.split(), **DESTINATIONS).status == 0, words
        operation = run("operations", "list", "--json").objects[0]["id"]
        run("operations", "cancel", operation)
        found = run("audit", "--json").objects
        assert [one["what"] for one in reversed(found)] == [
            "deliveries.retry",
            "events.replay",
            "destinations.pause",
            "destinations.resume",
            "destinations.backfill",
            "events.mirror-now",
            "events.release",
            "operations.cancel",
        ]
        assert found[-1]["on"] == f"ids={EVENT.id} destination=orders state=dead"
        assert found[-2]["on"].endswith("to audit")
        assert (found[-3]["on"], found[0]["on"]) == ("orders moving", operation)
        assert {one["who"].partition("@")[0] for one in found} == {getpass.getuser()}
        assert len(run("audit", "--limit", "3", "--json").objects) == 3
