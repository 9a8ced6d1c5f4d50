"""`receiver events`, over a store with delivered events."""

import json
import signal
from pathlib import Path

import pytest

from receiver.clock import now_ms
from receiver.contract import COMPLETED
from receiver.store import Store
from receiver.store.record import NewEvent
from tests.stored import FAR, NOW, WHOLE_ASSET, an_event, claimed, dead, delivered, settled
from tests.unit.cli.command import Command
from tests.unit.cli.running import Run
from tests.unit.cli.stored import DESTINATIONS, in_store


@pytest.fixture
def ids(run: Run, tmp_path: Path) -> list[str]:
    """Return two delivered events."""
    events = (an_event(f"gen_{n}", at=NOW + n) for n in range(2))
    return in_store(tmp_path, lambda store: delivered(store, *events))


class TestList:
    def test_prints_an_object_for_each(self, run: Run, ids: list[str]) -> None:
        """With asset and deliveries."""
        found = run("events", "list", "--oldest-first", "--json").objects
        assert [one["id"] for one in found] == ids
        assert found[0]["asset"]["url"] == "s3://b/k.png"
        assert found[0]["deliveries"] == {"delivered": 2}

    def test_filters(self, run: Run, ids: list[str]) -> None:
        """By generation, and by destination."""
        assert len(run("events", "list", "--generation", "gen_1", "--json").objects) == 1
        assert run("events", "list", "--destination", "nowhere", "--json").objects == []


class TestShow:
    def test_prints_body_and_deliveries(self, run: Run, tmp_path: Path) -> None:
        """What is in the body commands no terminal, and its URLs have no query string."""
        told = {"id": "gen_1", "prompt": "\x1b]0;hush\x07", "output_url": "https://h/x?sig=secret"}
        body = json.dumps({"event": COMPLETED, "data": told}, ensure_ascii=False).encode()
        event = an_event()
        event = NewEvent(event.id, event.source, "gen_1", COMPLETED, None, body, "webhook", NOW)
        in_store(tmp_path, lambda store: delivered(store, event))
        for form in ([], ["--json"]):
            ended = run("events", "show", event.id, *form)
            assert "https://h/x?[redacted]" in ended.out
            assert "secret" not in ended.out
            assert "\x1b" not in ended.out
        assert "orders delivered after 1 attempt\n" in run("events", "show", event.id).out

    def test_prints_every_field_of_the_asset(self, run: Run, tmp_path: Path) -> None:
        """As the message has them, with the time until which it is tried for."""
        event = an_event()
        in_store(tmp_path, lambda store: settled(store, event, asset=WHOLE_ASSET))
        told = run("events", "show", event.id, "--json").object["asset"]
        assert told == {
            "status": "failed",
            "url": "s3://b/k.mp4",
            "content_type": "video/mp4",
            "size_bytes": 7,
            "sha256": "0" * 64,
            "width": 640,
            "height": 360,
            "duration_s": 5.5,
            "error": "http_503",
            "retried_until": "2023-11-14T22:13:20+00:00",
        }

    def test_tells_what_is_not_there(self, run: Run) -> None:
        """A status of its own."""
        assert run("events", "show", "none").status == 5


class TestReplay:
    def test_sends_again_to_the_named(self, run: Run, tmp_path: Path, ids: list[str]) -> None:
        """Under the same ids; the other destination gets nothing."""
        ended = run("events", "replay", "--all", "--to", "orders", "--json", **DESTINATIONS)
        assert (ended.object["matched"], ended.object["changed"]) == (2, 2)

        async def look(store: Store) -> tuple[list[str], int]:
            orders = [job.event_id for job in await claimed(store, at=FAR)]
            return orders, len(await claimed(store, "audit", at=FAR))

        assert in_store(tmp_path, look) == (ids, 0)

    def test_counts_for_all_configured(self, run: Run, ids: list[str]) -> None:
        """Without --to."""
        ended = run("events", "replay", ids[0], "--dry-run", "--json", **DESTINATIONS)
        assert (ended.object["matched"], ended.object["changed"]) == (1, 2)

    def test_makes_what_was_never_there(self, run: Run, ids: list[str]) -> None:
        """Only for a destination that is named."""
        new = {**DESTINATIONS, "RECEIVER_DESTINATIONS__NEW__URL": "file:new.jsonl"}
        assert run("events", "replay", "--all", "--missing", **new).status == 2
        ended = run("events", "replay", "--all", "--missing", "--to", "new", "--json", **new)
        assert ended.object["changed"] == 2

    @pytest.mark.parametrize("to", ["nowhere", "ORDERS"])
    def test_refuses_what_is_not_configured(self, run: Run, to: str) -> None:
        """The message names the setting and the destinations there are."""
        ended = run("events", "replay", "--all", "--to", to, **DESTINATIONS)
        assert ended.status == 2
        assert "RECEIVER_DESTINATIONS__" in ended.err
        assert "orders, audit" in ended.err

    def test_refuses_without_destinations(self, run: Run) -> None:
        """There is nowhere to send to."""
        ended = run("events", "replay", "--all")
        assert ended.status == 2
        assert "RECEIVER_DESTINATIONS__<NAME>__URL" in ended.err


class TestTail:
    def test_prints_what_arrives_until_interrupted(self, command: Command, ids: list[str]) -> None:
        """First some of before, then each as it comes; Ctrl-C ends it without a traceback."""
        with command.started("events", "tail", "--last", "1", "--json") as process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["id"] == ids[1]
            fresh = an_event("gen_new", at=now_ms())
            in_store(command.folder, lambda store: store.record(fresh))
            assert json.loads(process.stdout.readline())["id"] == fresh.id
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
        assert process.returncode == 130
        assert said.strip() == "receiver: interrupted"


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
