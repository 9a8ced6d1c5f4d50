"""Waiting: the ledger first and often, the provider gently."""

from email.utils import formatdate

import pytest

from receiver.client import GenerationFailed, MemoryLedger, NotFound, WaitTimeout, parse
from receiver.client.wire import Outgoing, Reply
from receiver.errors import StoreUnavailable
from tests.unit.client.memory_ledger import CrashingLedger
from tests.unit.client.script import NOW, ok, page, refused, row, scripted

DONE = {"status": "completed", "output_url": "https://cdn/1", "completed_at": "2025-01-09T12:00:15Z"}
RUNNING = ok(row())
MISSING = refused(404, "not_found")


def used_up(seconds: float) -> dict[str, str]:
    """Return the headers of a window in which nothing is left for so many seconds."""
    return {
        "x-ratelimit-limit": "12",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(NOW + seconds)),
        "date": formatdate(NOW, usegmt=True),
    }


class TestWait:
    def test_looks_ever_more_rarely(self) -> None:
        """2, 3, 4.5… seconds for an image."""
        client, script = scripted(RUNNING, RUNNING, RUNNING, ok(row(**DONE)))
        assert client.generations.wait(parse.generation(row())).status == "completed"
        assert script.times == [2, 5, 9.5, 16.25]

    def test_what_is_finished_is_not_looked_at(self) -> None:
        """It cannot change any more."""
        client, script = scripted()
        done = parse.generation(row(**DONE))
        assert client.generations.wait(done) == done
        with pytest.raises(GenerationFailed):
            client.generations.wait(parse.generation(row(status="failed")))
        assert script.sent == []

    def test_the_ledger_is_asked_first(self) -> None:
        """An event that is there already costs no request, and keeps what the generation knew before."""
        ledger = MemoryLedger()
        ledger.put_outcome({"id": "gen_1", **DONE})
        client, script = scripted(ledger=ledger)
        made = client.generations.wait(parse.generation(row(credits_charged=5)))
        assert (made.status, made.output_url, made.credits_charged) == ("completed", "https://cdn/1", 5)
        assert (script.sent, script.now) == ([], NOW)

    def test_the_ledger_is_asked_every_second(self) -> None:
        """An event that comes while it sleeps is seen long before the next look."""
        ledger = MemoryLedger()

        def meanwhile(_: object) -> object:
            script.sleep = put  # type: ignore[method-assign]
            return RUNNING

        def put(seconds: float) -> None:
            script.now += seconds
            ledger.put_outcome({"id": "gen_1", **DONE})

        client, script = scripted(meanwhile, ledger=ledger)  # type: ignore[arg-type]
        client._caller.sleep = lambda seconds: script.sleep(seconds)  # noqa: PLW0108  # it is exchanged later
        assert client.generations.wait("gen_1").status == "completed"
        assert (len(script.sent), script.now) == (1, NOW + 1)

    def test_an_unfinished_outcome_is_not_believed(self) -> None:
        """What does not say that it is over is no terminal event."""
        ledger = MemoryLedger()
        ledger.put_outcome(row())
        client, _ = scripted(ok(row(**DONE)), ledger=ledger)
        assert client.generations.wait("gen_1").output_url == "https://cdn/1"

    def test_goes_on_without_the_ledger(self) -> None:
        """A database that does not answer only makes it slower."""
        ledger = CrashingLedger()
        ledger.before["outcome"] = StoreUnavailable("the disk")
        client, _ = scripted(ok(row(**DONE)), ledger=ledger)
        assert client.generations.wait("gen_1").status == "completed"

    def test_is_not_there_yet_or_never_was(self) -> None:
        """A 404 at first may only be early; after half a minute it is the answer."""
        client, _ = scripted(MISSING, ok(row(**DONE)))
        assert client.generations.wait("gen_1").status == "completed"
        client, script = scripted(*[MISSING] * 20)
        with pytest.raises(NotFound):
            client.generations.wait("gen_1")
        assert 30 <= script.times[-1] < 45

    def test_ends_in_time_in_a_window_that_is_used_up(self) -> None:
        """The rate limit does not hold it beyond its deadline, at which nothing may be asked either."""
        client, script = scripted(ok(row(), **used_up(25)))
        client.generations.get("gen_1")
        with pytest.raises(WaitTimeout) as timeout:
            client.generations.wait("gen_1", timeout=3)
        assert (len(script.sent), script.now, timeout.value.waited_s) == (1, NOW + 3, 3)

    def test_ends_in_time_without_any_patience(self) -> None:
        """Then there is no time for a look."""
        client, script = scripted(ok(row(), **used_up(25)))
        client.generations.get("gen_1")
        with pytest.raises(WaitTimeout):
            client.generations.wait("gen_1", timeout=0)
        assert (len(script.sent), script.now) == (1, NOW)

    def test_the_events_are_asked_while_the_provider_may_not_be(self) -> None:
        """One that comes is seen within a second, before the deadline."""
        ledger = MemoryLedger()
        client, script = scripted(ok(row(), **used_up(25)), ledger=ledger)
        client.generations.get("gen_1")

        def meanwhile(seconds: float) -> None:
            script.now += seconds
            if script.now >= NOW + 4:
                ledger.put_outcome({"id": "gen_1", **DONE})

        client._caller.sleep = meanwhile
        assert client.generations.wait("gen_1", timeout=20).status == "completed"
        assert (len(script.sent), script.now) == (1, NOW + 4)

    def test_looks_once_the_window_is_new_if_that_is_in_time(self) -> None:
        """A wait for the rate limit that ends before the deadline is none too long."""
        client, script = scripted(ok(row(), **used_up(25)), ok(row(**DONE)))
        client.generations.get("gen_1")
        assert client.generations.wait("gen_1", timeout=30).status == "completed"
        assert script.times == [0, 25]

    def test_ends_in_time_while_the_provider_fails(self) -> None:
        """Nor does it go again and again beyond its deadline."""
        client, script = scripted(*[refused(500, "internal_error")] * 9)
        client._caller._chance = lambda: 1.0
        with pytest.raises(WaitTimeout):
            client.generations.wait(parse.generation(row()), timeout=3)
        assert script.now == NOW + 3


class TestWaitMany:
    def test_one_look_does_for_all(self) -> None:
        """A hundred of them cost one request each time."""
        names = [f"gen_{n}" for n in range(100)]
        running, done = ([row(name, **fields) for name in names] for fields in ({}, DONE))
        client, script = scripted(page(*running), page(*done[:50], *running[50:]), page(*done))
        assert [made.id for made in client.generations.wait_many(names)] == names
        assert script.asked == ["GET /generations?limit=100"] * 3

    def test_what_is_not_on_the_page_is_looked_at_by_name(self) -> None:
        """Older ones have left the newest page."""
        names = ["gen_1", "gen_2", "gen_3", "gen_4"]
        listed = [row(name, **DONE) for name in names[:3]]
        client, script = scripted(page(*listed), ok(row("gen_4", **DONE)))
        assert {made.id for made in client.generations.wait_many(names)} == set(names)
        assert script.asked[1] == "GET /generations/gen_4"

    def test_a_few_are_looked_at_by_name(self) -> None:
        """Up to three the list would be no cheaper."""
        client, script = scripted(*[ok(row(f"gen_{n}", **DONE)) for n in (1, 2, 3)])
        assert len(list(client.generations.wait_many(["gen_1", "gen_2", "gen_3"]))) == 3
        assert script.asked == [f"GET /generations/gen_{n}" for n in (1, 2, 3)]

    def test_not_more_than_ten_by_name_in_one_go(self) -> None:
        """And each gets its turn, whatever the others do."""
        names = [f"gen_{n}" for n in range(15)]
        looks = [ok(row(name)) for name in names[:10]]
        rest = [ok(row(name, **DONE)) for name in names[10:]]
        ends = [ok(row(name, **DONE)) for name in names[:10]]
        client, script = scripted(page(), *looks, page(), *rest, *ends[:5], page(), *ends[5:])
        assert len(list(client.generations.wait_many(names))) == 15
        assert script.asked[12:17] == [f"GET /generations/gen_{n}" for n in range(10, 15)]

    def test_the_ledger_spares_the_list(self) -> None:
        """Those whose event came are not asked for."""
        ledger = MemoryLedger()
        for n in range(5):
            ledger.put_outcome(row(f"gen_{n}", **DONE))
        client, script = scripted(ledger=ledger)
        assert len(list(client.generations.wait_many([f"gen_{n}" for n in range(5)]))) == 5
        assert script.sent == []

    def test_an_event_that_comes_between_two_looks_costs_none(self) -> None:
        """It is seen within a second, whoever asked for the generation."""
        events = MemoryLedger()
        made = parse.generation(row("gen_1"))
        client, script = scripted(events=events)

        def meanwhile(seconds: float) -> None:
            script.now += seconds
            events.put_outcome(row("gen_1", **DONE))

        client._caller.sleep = meanwhile
        (done,) = client.generations.wait_many([made])
        assert (done.output_url, script.sent, script.now) == ("https://cdn/1", [], NOW + 1)

    def test_failed_and_finished_ones_are_told_too(self) -> None:
        """One failure does not hide the others, and what was finished before comes first."""
        old = parse.generation(row("gen_old", **DONE))
        client, _ = scripted(ok(row("gen_1", status="failed")), ok(row("gen_2", **DONE)))
        ends = [(made.id, made.status) for made in client.generations.wait_many(["gen_1", old, "gen_2"])]
        assert ends == [("gen_old", "completed"), ("gen_1", "failed"), ("gen_2", "completed")]

    @pytest.mark.parametrize("names", [["gen_1", "gen_2"], [f"gen_{n}" for n in range(5)]])
    def test_ends_in_time_in_a_window_that_is_used_up(self, names: list[str]) -> None:
        """Whether they are looked at by name or on the list."""
        client, script = scripted(ok(row(), **used_up(25)))
        client.generations.get("gen_1")
        with pytest.raises(WaitTimeout) as timeout:
            list(client.generations.wait_many(names, timeout=3))
        assert timeout.value.pending == tuple(names)
        assert (len(script.sent), script.now) == (1, NOW + 3)

    def test_says_at_the_end_what_does_not_exist(self) -> None:
        """The others are waited for all the same, and it is asked for no longer."""

        def provider(outgoing: Outgoing) -> Reply:
            if outgoing.url.endswith("gen_no"):
                return MISSING
            return ok(row("gen_1", **(DONE if script.now > NOW + 60 else {})))

        client, script = scripted(*[provider] * 40)
        waiting = client.generations.wait_many(["gen_no", "gen_1"])
        assert next(waiting).id == "gen_1"
        with pytest.raises(NotFound, match="there is no generation gen_no in this account"):
            next(waiting)
        assert script.asked[-2:] == ["GET /generations/gen_1"] * 2

    def test_says_at_the_end_what_was_not_finished(self) -> None:
        """The others were told before."""
        finished = ok(row("gen_2", **DONE))
        client, _ = scripted(RUNNING, finished, *[RUNNING] * 9)
        waiting = client.generations.wait_many(["gen_1", "gen_2"], timeout=10)
        assert next(waiting).id == "gen_2"
        with pytest.raises(WaitTimeout) as timeout:
            next(waiting)
        assert timeout.value.pending == ("gen_1",)
        assert timeout.value.last is not None
