"""Paid calls: written down, sent once, found again."""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest

from receiver.client import (
    GenerationClaimed,
    InsufficientCredits,
    InvalidParameter,
    MemoryLedger,
    NotCharged,
    NotSent,
    OutcomeUnknown,
    Submission,
)
from receiver.client.wire import Answer, Lost, Unsent
from receiver.errors import StoreUnavailable
from tests.unit.client.memory_ledger import Crash, CrashingLedger
from tests.unit.client.script import NOW, ok, page, refused, row, scripted

EMPTY = page()
LOST = Lost("reset")


class TestSubmit:
    def test_is_written_down_before_it_is_sent(self) -> None:
        """The row is there, `sending`, when the POST leaves; then it says what came of it."""
        ledger = CrashingLedger()
        seen: list[Submission | None] = []

        def answer(_: object) -> object:
            seen.append(ledger.get("order 7"))
            return ok(row())

        client, _ = scripted(answer, ledger=ledger)  # type: ignore[arg-type]
        made = client.generate.image("a fox", client_ref="order 7", metadata={"user": 1})
        before = Submission(
            "order 7", "image", {"prompt": "a fox"}, "sending", metadata={"user": 1}, sent_at=NOW
        )
        assert seen == [before]
        after = ledger.get("order 7")
        assert after is not None
        assert (after.state, after.generation_id, after.metadata) == ("submitted", made.id, {"user": 1})

    def test_the_same_name_again_asks_for_nothing(self) -> None:
        """The second call looks at the first's generation."""
        client, script = scripted(ok(row()), ok(row(status="completed")), ledger=MemoryLedger())
        client.generate.image("a fox", client_ref="r")
        assert client.generate.image("a fox", client_ref="r").status == "completed"
        assert script.asked == ["POST /generate/image", "GET /generations/gen_1"]

    def test_the_same_name_again_needs_no_network_once_the_event_is_there(self) -> None:
        """What the webhook brought is enough."""
        ledger = MemoryLedger()
        client, script = scripted(ok(row()), ledger=ledger)
        client.generate.image("a fox", client_ref="r")
        ledger.put_outcome(row(status="completed", output_url="https://cdn/1"))
        assert client.generate.image("a fox", client_ref="r").output_url == "https://cdn/1"
        assert len(script.sent) == 1

    def test_the_same_name_for_something_else_is_refused(self) -> None:
        """Two things cannot have one name; where the word is sent makes no difference."""
        client, script = scripted(ok(row()), ok(row()), ledger=MemoryLedger())
        client.generate.image("a fox", client_ref="r")
        client.generate.image("a fox", client_ref="r", webhook_url="https://x/other")
        with pytest.raises(InvalidParameter, match="something else"):
            client.generate.image("a wolf", client_ref="r")
        with pytest.raises(InvalidParameter, match="something else"):
            client.generate.video("a fox", client_ref="r")
        assert script.asked[1:] == ["GET /generations/gen_1"]

    @pytest.mark.parametrize("reply", [refused(403, "insufficient_credits"), Unsent("dns")])
    def test_a_refused_name_may_be_used_again(self, reply: object) -> None:
        """Nothing was charged for it."""
        ledger = MemoryLedger()
        client, script = scripted(reply, ok(row()), ledger=ledger, max_retries=0)  # type: ignore[arg-type]
        with pytest.raises((InsufficientCredits, NotSent)):
            client.generate.image("a fox", client_ref="r")
        settled = ledger.get("r")
        assert settled is not None
        assert settled.state == "refused"
        assert client.generate.image("a fox", client_ref="r").id == "gen_1"
        assert len(script.sent) == 2

    def test_a_lost_answer_is_in_doubt(self) -> None:
        """The error says everything that is known, and so does the row."""
        ledger = MemoryLedger()
        client, script = scripted(LOST, ledger=ledger)
        with pytest.raises(OutcomeUnknown) as unknown:
            client.generate.image("a fox", client_ref="r")
        assert (unknown.value.client_ref, unknown.value.sent_at) == ("r", NOW)
        assert unknown.value.request.body == {"prompt": "a fox"}
        assert unknown.value.candidates == ()
        settled = ledger.get("r")
        assert settled is not None
        assert (settled.state, settled.error) == ("unknown", "reset")
        with pytest.raises(OutcomeUnknown, match="reset"):
            client.generate.image("a fox", client_ref="r")
        assert len(script.sent) == 1

    @pytest.mark.parametrize(("step", "when"), [("begin", "after"), ("settle", "before")])
    def test_a_crash_around_the_post_never_sends_again(self, step: str, when: str) -> None:
        """The next program finds the row `sending`: in doubt, not to be sent."""
        ledger = CrashingLedger()
        getattr(ledger, when)[step] = Crash()
        client, _ = scripted(ok(row()), ledger=ledger)
        with pytest.raises(Crash):
            client.generate.image("a fox", client_ref="r")
        reborn, script = scripted(ledger=ledger)
        with pytest.raises(OutcomeUnknown, match="without a trace") as unknown:
            reborn.generate.image("a fox", client_ref="r")
        assert script.sent == []
        assert (unknown.value.client_ref, unknown.value.sent_at) == ("r", NOW)

    def test_nothing_is_sent_without_the_ledger(self) -> None:
        """If it cannot be written down it is not sent."""
        ledger = CrashingLedger()
        ledger.before["begin"] = StoreUnavailable("the disk")
        client, script = scripted(ledger=ledger)
        with pytest.raises(StoreUnavailable):
            client.generate.image("a fox")
        assert script.sent == []

    @pytest.mark.parametrize("failure", [StoreUnavailable("the disk"), ValueError("the disk")])
    def test_an_answer_is_worth_more_than_its_row(
        self, failure: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A ledger that fails after the POST, in whatever way, does not cost the caller the generation."""
        ledger = CrashingLedger()
        client, script = scripted(ok(row()), ledger=ledger)

        def broken(*_: object, **__: object) -> None:
            raise failure

        with caplog.at_level(logging.WARNING), pytest.MonkeyPatch.context() as patched:
            patched.setattr(ledger, "settle", broken)
            assert client.generate.image("a fox", client_ref="r").id == "gen_1"
        assert "r is not settled: " in caplog.text
        assert "the disk" in caplog.text
        assert script.now < NOW + 5

    def test_a_ledger_that_fails_once_is_asked_again(self) -> None:
        """So that nothing stays in doubt whose answer came."""
        ledger = CrashingLedger()
        ledger.before["settle"] = StoreUnavailable("the disk")
        client, _ = scripted(ok(row()), ledger=ledger)
        client.generate.image("a fox", client_ref="r")
        settled = ledger.get("r")
        assert settled is not None
        assert (settled.state, settled.generation_id) == ("submitted", "gen_1")

    def test_what_waited_for_its_turn_is_noted_anew(self) -> None:
        """The row says when the POST really left, so that nobody takes it for settled before."""
        ledger = MemoryLedger()
        client, script = scripted(Unsent("dns"), ok(row()), ledger=ledger)
        client._caller.pause = lambda seconds: script.sleep(60)  # type: ignore[method-assign]
        script.sleep(-60)
        client.generate.image("a fox", client_ref="r")
        sent = ledger.get("r")
        assert sent is not None
        assert sent.sent_at == NOW

    def test_what_waited_for_its_ledger_is_noted_anew(self) -> None:
        """While it queued for a thread and a database, its time to settle ran out."""
        sent_at: list[float | None] = []

        class Slow(MemoryLedger):
            def renew(self, client_ref: str, *, was: float, sent_at: float) -> bool:
                script.now += 1000 if was == NOW else 1
                return super().renew(client_ref, was=was, sent_at=sent_at)

        def answer(_: object) -> Answer:
            sent_at.extend(found.sent_at for found in ledger.list())
            return ok(row())

        ledger = Slow()
        client, script = scripted(refused(429, "rate_limited"), answer, ledger=ledger)
        client.generate.image("a fox", client_ref="r")
        assert sent_at == [pytest.approx(script.now, abs=10)]

    def test_is_not_sent_once_another_settled_it(self) -> None:
        """While this call slept, recovery freed its name: what it would send now nobody expects any more."""
        ledger = MemoryLedger()
        client, script = scripted(Unsent("dns"), ledger=ledger)

        def meanwhile(seconds: float) -> None:
            script.sleep(2000 + seconds)
            ledger.settle("r", state="refused", error="not accepted")

        client._caller.pause = meanwhile  # type: ignore[method-assign]
        with pytest.raises(NotSent, match="settled by another call"):
            client.generate.image("a fox", client_ref="r")
        assert len(script.sent) == 1

    def test_names_need_a_ledger(self) -> None:
        """A promise that would end with the process is not made."""
        client, script = scripted()
        with pytest.raises(InvalidParameter, match="client_ref is kept in a ledger"):
            client.generate.image("a fox", client_ref="r")
        with pytest.raises(InvalidParameter, match="metadata is kept in a ledger"):
            client.generate.image("a fox", metadata={})
        assert script.sent == []

    def test_price_is_checked_before_anything_is_paid(self) -> None:
        """Too dear: refused here; cheap enough: sent."""
        models = ok({"data": [{"id": "prunaai/z-image-turbo", "credits_per_generation": 5}]})
        client, script = scripted(models, models, ok(row()), ledger=MemoryLedger())
        with pytest.raises(InvalidParameter, match="costs 5"):
            client.generate.image("a fox", max_credits=4, client_ref="r")
        assert client.generate.image("a fox", max_credits=5, client_ref="r").id == "gen_1"
        assert script.asked == ["GET /models?type=image", "GET /models?type=image", "POST /generate/image"]


class TestRecover:
    def test_adopts_the_only_match(self) -> None:
        """Same kind, model and prompt, made since it was sent; the rest of the list is somebody else's."""
        others = [
            row("gen_wolf", prompt="a wolf"),
            row("gen_model", model="another"),
            row("gen_old", at=NOW - 120),
        ]
        ledger = MemoryLedger()
        client, script = scripted(LOST, page(row("gen_it"), *others), ledger=ledger)
        made = client.generate.image("a fox", client_ref="r", on_unknown="recover")
        assert made.id == "gen_it"
        settled = ledger.get("r")
        assert settled is not None
        assert (settled.state, settled.generation_id) == ("submitted", "gen_it")
        assert script.asked[1] == "GET /generations?type=image&limit=100"

    def test_two_matches_are_for_a_person_to_choose(self) -> None:
        """Both are named; nothing is adopted, and nothing is sent."""
        client, script = scripted(LOST, page(row("gen_a"), row("gen_b")), EMPTY, ledger=MemoryLedger())
        with pytest.raises(OutcomeUnknown) as unknown:
            client.generate.image("a fox", on_unknown="recover")
        assert [made.id for made in unknown.value.candidates] == ["gen_a", "gen_b"]
        assert [asked.split()[0] for asked in script.asked] == ["POST", "GET", "GET"]

    def test_looks_again_for_what_is_not_listed_yet(self) -> None:
        """A few times, then it says that nothing was found."""
        client, script = scripted(LOST, EMPTY, EMPTY, page(row("gen_late")), EMPTY)
        assert client.generate.image("a fox", on_unknown="recover").id == "gen_late"
        client, script = scripted(LOST, *[EMPTY] * 4)
        with pytest.raises(OutcomeUnknown) as unknown:
            client.generate.image("a fox", on_unknown="recover")
        assert unknown.value.candidates == ()
        assert script.times == [0, 0, 1, 4, 10]

    def test_what_another_row_has_is_no_match(self) -> None:
        """The generation of an earlier call with the same prompt stays its own, ledger or not."""
        for ledger in (None, MemoryLedger()):
            client, _ = scripted(ok(row("gen_1")), LOST, *[page(row("gen_1")), EMPTY] * 4, ledger=ledger)
            client.generate.image("a fox")
            with pytest.raises(OutcomeUnknown) as unknown:
                client.generate.image("a fox", on_unknown="recover")
            assert unknown.value.candidates == ()

    def test_another_open_row_may_have_become_it(self) -> None:
        """Two lost calls for the same thing, one generation: whose it is cannot be told."""
        ledger = MemoryLedger()
        client, _ = scripted(LOST, LOST, *[page(row("gen_1")), EMPTY] * 4, ledger=ledger)
        with pytest.raises(OutcomeUnknown):
            client.generate.image("a fox", client_ref="one")
        with pytest.raises(OutcomeUnknown) as unknown:
            client.generate.image("a fox", client_ref="two", on_unknown="recover")
        assert [made.id for made in unknown.value.candidates] == ["gen_1"]
        settled = ledger.get("two")
        assert settled is not None
        assert settled.state == "unknown"

    def test_a_list_that_was_not_seen_whole_decides_nothing(self) -> None:
        """What fits may not be the only one that does."""
        endless = [
            page(
                row("gen_it"),
                row(f"gen_a{n}", prompt="a wolf", at=NOW - 99),
                row(f"gen_b{n}", prompt="a wolf"),
            )
            for n in range(80)
        ]
        client, script = scripted(LOST, *endless)
        with pytest.raises(OutcomeUnknown) as unknown:
            client.generate.image("a fox", on_unknown="recover")
        assert [made.id for made in unknown.value.candidates] == ["gen_it"]
        assert len(script.sent) == 81

    def test_nothing_listed_once_it_settled_was_not_charged(self) -> None:
        """Its name is free: the same call is then sent, and charged once."""
        ledger = MemoryLedger()
        client, script = scripted(LOST, *[EMPTY] * 4, EMPTY, ok(row()), ledger=ledger)
        with pytest.raises(OutcomeUnknown) as unknown:
            client.generate.image("a fox", client_ref="r", on_unknown="recover")
        script.now = unknown.value.settles_at
        with pytest.raises(NotCharged) as resolved:
            client.generate.recover("r")
        assert (resolved.value.client_ref, resolved.value.retryable) == ("r", True)
        settled = ledger.get("r")
        assert settled is not None
        assert settled.state == "refused"
        assert client.generate.image("a fox", client_ref="r").id == "gen_1"
        assert [asked for asked in script.asked if asked.startswith("POST")] == ["POST /generate/image"] * 2

    @pytest.mark.parametrize(
        "shown", [{"prompt": None}, {"prompt": "a fox in the sn..."}, {"model": "the/new-default"}]
    )
    def test_what_is_listed_otherwise_is_never_asked_for_again(self, shown: dict[str, Any]) -> None:
        """It was charged: its name stays in doubt until a person says which it is."""
        ledger = MemoryLedger()
        listed = page(row("gen_it", **{"prompt": "a fox in the snow", **shown}))
        client, script = scripted(LOST, *[listed, EMPTY] * 4, ledger=ledger)
        with pytest.raises(OutcomeUnknown):
            client.generate.image("a fox in the snow", client_ref="r")
        script.now += 1000
        with pytest.raises(OutcomeUnknown) as unknown:
            client.generate.recover("r")
        assert [made.id for made in unknown.value.candidates] == ["gen_it"]
        with pytest.raises(OutcomeUnknown):
            client.generate.image("a fox in the snow", client_ref="r")
        assert [asked for asked in script.asked if asked.startswith("POST")] == ["POST /generate/image"]

    def test_twins_are_shared_out_once_they_settled(self) -> None:
        """Two lost calls for the very same, one generation: one is it, the other was not charged."""
        ledger = MemoryLedger()
        client, script = scripted(LOST, LOST, *[page(row("gen_1")), EMPTY] * 2, ledger=ledger)
        for ref in ("one", "two"):
            with pytest.raises(OutcomeUnknown):
                client.generate.image("a fox", client_ref=ref)
        script.now += 1000
        with pytest.raises(NotCharged):
            client.generate.recover("two")
        assert client.generate.recover("one").id == "gen_1"

    def test_what_leaves_after_all_was_not_refused(self) -> None:
        """The call that waited for its turn renewed the row while the list was read."""

        class Leaves(MemoryLedger):
            def claimed(self, generation_ids: Collection[str]) -> set[str]:
                self.renew("r", was=NOW, sent_at=NOW + 2000)
                return super().claimed(generation_ids)

        ledger = Leaves()
        ledger.begin(Submission("r", "image", {"prompt": "a fox"}, "sending", sent_at=NOW))
        client, script = scripted(*[EMPTY] * 4, ledger=ledger)
        script.now += 2000
        with pytest.raises(OutcomeUnknown):
            client.generate.recover("r")

    def test_a_crash_is_recovered_by_name(self) -> None:
        """`recover` takes the name alone, and a call with `recover` finds it too."""
        for by_name in (True, False):
            ledger = CrashingLedger()
            ledger.before["settle"] = Crash()
            client, _ = scripted(ok(row()), ledger=ledger)
            with pytest.raises(Crash):
                client.generate.image("a fox", client_ref="r")
            reborn, script = scripted(page(row()), EMPTY, ledger=ledger)
            if by_name:
                assert reborn.generate.recover("r").id == "gen_1"
            else:
                assert reborn.generate.image("a fox", client_ref="r", on_unknown="recover").id == "gen_1"
            assert not any(asked.startswith("POST") for asked in script.asked)

    def test_what_the_ledger_learnt_meanwhile_is_enough(self) -> None:
        """Another program adopted it already."""
        ledger = MemoryLedger()
        client, _ = scripted(LOST, ok(row("gen_9")), ledger=ledger)
        with pytest.raises(OutcomeUnknown) as unknown:
            client.generate.image("a fox", client_ref="r")
        ledger.settle("r", state="submitted", generation_id="gen_9")
        assert client.generate.recover(unknown.value).id == "gen_9"

    def test_trouble_while_looking_keeps_the_doubt(self) -> None:
        """A key that may not read says nothing about what became of it."""
        client, _ = scripted(LOST, refused(403, "insufficient_scope"))
        with pytest.raises(OutcomeUnknown) as unknown:
            client.generate.image("a fox", on_unknown="recover")
        assert type(unknown.value.__cause__).__name__ == "InsufficientScope"

    def test_knows_the_clock_of_the_provider(self) -> None:
        """An hour of skew, told by `Date`, does not hide it."""
        date = {"date": "Thu, 09 Jan 2025 13:00:00 GMT"}  # NOW is noon
        listed = ok({"data": [row("gen_it", at=NOW + 3600)]}, **date)
        client, _ = scripted(LOST, listed, EMPTY)
        assert client.generate.image("a fox", on_unknown="recover").id == "gen_it"

    def test_is_about_generations_only(self) -> None:
        """A lost webhook is found by `webhooks.list`."""
        client, _ = scripted(LOST)
        with pytest.raises(OutcomeUnknown) as unknown:
            client.webhooks.create("https://x/hook")
        with pytest.raises(InvalidParameter, match="not about a generation"):
            client.generate.recover(unknown.value)

    def test_unknown_names_are_refused(self) -> None:
        """There is nothing to look for."""
        client, _ = scripted(ledger=MemoryLedger())
        with pytest.raises(InvalidParameter, match="names no submission"):
            client.generate.recover("r")


class TestUnsettled:
    @pytest.mark.parametrize("settle", [lambda g: g.adopt("r", "gen_b"), lambda g: g.abandon("r")])
    def test_a_mistyped_name_is_told(self, settle: Callable[[Any], object]) -> None:
        """A person who settles the wrong name must not believe that it is done."""
        client, script = scripted(ledger=MemoryLedger())
        with pytest.raises(InvalidParameter, match="names no submission"):
            settle(client.generate)
        assert script.asked == []

    @pytest.mark.parametrize("settle", [lambda g: g.adopt("r", "gen_b"), lambda g: g.abandon("r")])
    def test_what_became_a_generation_stays_so(self, settle: Callable[[Any], object]) -> None:
        """The next call of that name would be charged otherwise."""
        client, script = scripted(ok(row("gen_1")), ledger=MemoryLedger())
        client.generate.image("a fox", client_ref="r")
        with pytest.raises(InvalidParameter, match="it became gen_1"):
            settle(client.generate)
        assert script.asked == ["POST /generate/image"]

    @pytest.mark.parametrize("settle", [lambda g: g.adopt("r", "gen_b"), lambda g: g.abandon("r")])
    def test_a_name_that_was_used_again_is_left_alone(self, settle: Callable[[Any], object]) -> None:
        """A decision about the first order must not free the second, or it would be charged twice."""
        ledger = UsedAgain()
        client, _ = scripted(LOST, ok(row("gen_b")), ledger=ledger)
        with pytest.raises(OutcomeUnknown):
            client.generate.image("a fox", client_ref="r")
        settle(client.generate)
        again = ledger.get("r")
        assert again is not None
        assert (again.state, again.sent_at) == ("sending", NOW + 1000)


class UsedAgain(MemoryLedger):
    """Another program frees the name of a row in doubt once it was read, and sends another order."""

    def get(self, client_ref: str) -> Submission | None:
        """Return the row as it was."""
        found = super().get(client_ref)
        if found is not None and found.state == "unknown":
            self.settle(client_ref, state="refused")
            self.begin(replace(found, state="sending", sent_at=NOW + 1000))
        return found


class TestAdopt:
    def test_a_person_may_choose(self) -> None:
        """The chosen one is looked at, written down, and no one else's from then on."""
        ledger = MemoryLedger()
        client, _ = scripted(LOST, LOST, *[ok(row("gen_b"))] * 3, ledger=ledger)
        for ref in ("one", "two"):
            with pytest.raises(OutcomeUnknown):
                client.generate.image("a fox", client_ref=ref)
        assert client.generate.adopt("one", "gen_b").id == "gen_b"
        with pytest.raises(GenerationClaimed):
            client.generate.adopt("two", "gen_b")
        assert client.generate.image("a fox", client_ref="one").id == "gen_b"


class TestAbandon:
    def test_the_name_may_be_used_again(self) -> None:
        """Once somebody made sure that it came to nothing."""
        client, script = scripted(LOST, ok(row()), ledger=MemoryLedger())
        with pytest.raises(OutcomeUnknown):
            client.generate.image("a fox", client_ref="r")
        client.generate.abandon("r")
        assert client.generate.image("a fox", client_ref="r").id == "gen_1"
        assert script.asked == ["POST /generate/image"] * 2
