"""`receiver find`."""

from pathlib import Path

import pytest

from tests.stored import an_event, dead, delivered
from tests.unit.cli.running import Run
from tests.unit.cli.stored import DESTINATIONS, in_store


class TestFind:
    @pytest.mark.parametrize("by", ["event", "generation", "url"])
    def test_tells_what_happened(self, run: Run, tmp_path: Path, by: str) -> None:
        """In order, under any name of it: what was given up with its error, the rest with its next try."""
        event = an_event("gen_1")
        in_store(tmp_path, lambda store: dead(store, event, error="hooks.example.com answered 401"))
        name = {"event": event.id, "generation": "gen_1", "url": "s3://b/k.png"}[by]
        found = run("find", name, "--json").objects
        told = {one["what"]: one["detail"] for one in found}
        assert told["given up for orders"] == "1 attempt: hooks.example.com answered 401"
        assert told["to be sent to audit"] == "not tried yet; waits for audit to be configured"
        why = "after 0.2 s: hooks.example.com answered 401; the answer: no such order"
        assert told["attempt 1 to orders failed"] == why
        assert told["asset mirrored"] == "s3://b/k.png"
        assert "received generation.completed" in told
        times = [one["at"] for one in found if one["at"]]
        assert times == sorted(times)
        assert {one["event_id"] for one in found} == {event.id}

    def test_what_comes_next(self, run: Run, tmp_path: Path) -> None:
        """What it waits for, in the same words as the delivery; never a time that has passed."""
        event = an_event("gen_1")
        in_store(tmp_path, lambda store: dead(store, event))
        waits = "a worker: none is alive"
        told = {one["what"]: one for one in run("find", "gen_1", "--json", **DESTINATIONS).objects}
        assert told["to be sent to audit"]["at"] is None
        assert told["to be sent to audit"]["detail"] == f"not tried yet; waits for {waits}"
        [listed] = run("deliveries", "list", "--state", "pending", "--json", **DESTINATIONS).objects
        shown = run("deliveries", "show", event.id, "audit", "--json", **DESTINATIONS).object
        for one in (listed, shown):
            assert (one["next_try_at"], one["waits_for"]) == (None, waits)
        assert (
            f"audit pending after 0 attempts; waits for {waits}"
            in run("events", "show", "gen_1", **DESTINATIONS).out
        )

    def test_as_a_table(self, run: Run, tmp_path: Path) -> None:
        """Under the generation that it is about."""
        in_store(tmp_path, lambda store: delivered(store, an_event("gen_1")))
        ended = run("find", "gen_1")
        assert ended.err == "gen_1 of photoverse\n"
        assert "delivered to orders\t1 attempt" in ended.out

    def test_nothing(self, run: Run) -> None:
        """An empty variable in a script is not every generation."""
        assert run("find", "").status == 2

    def test_unknown(self, run: Run) -> None:
        """The status of what is not found."""
        ended = run("find", "gen_none")
        assert (ended.status, ended.out) == (5, "")
        assert "nothing found for gen_none" in ended.err
