"""`receiver audit`: what commands change is written down."""

import getpass
from dataclasses import replace
from pathlib import Path

from receiver.store import Store
from tests.stored import an_event, dead
from tests.unit.cli.running import Run
from tests.unit.cli.stored import DESTINATIONS, in_store

EVENT = an_event("gen_1")


async def _some(store: Store) -> None:
    await dead(store, EVENT)
    await store.record(replace(an_event("gen_2"), asset_host="cdn.example.com"))


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
