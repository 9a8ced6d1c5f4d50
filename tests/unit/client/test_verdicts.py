"""What a complete look at the list says of a request in doubt."""

from typing import Any

import pytest

from receiver.client import Submission, parse
from receiver.client.ledger import SETTLING_S
from receiver.client.recovery import InDoubt, Search
from receiver.client.verdicts import Became, Evidence, NothingAccepted, StillOpen, Verdict, judge
from tests.unit.client.script import NOW, row

SETTLED = NOW + SETTLING_S + 10


def seen(*rows: dict[str, Any], whole: bool = True) -> Search:
    search = Search(InDoubt("image", {"prompt": "a fox"}, NOW), since=NOW - 5000)
    search.take(parse.generations(list(rows)), 0.0)
    if whole:
        search.take(parse.generations([]), 0.0)
    return search


def verdict(
    search: Search, *rivals: Submission, now: float = SETTLED, claimed: str = "", at: float = NOW
) -> Verdict:
    evidence = Evidence(search, rivals, {claimed}, now, 0.0)
    return judge(InDoubt("image", {"prompt": "a fox"}, at), "mine", evidence)


def twin(ref: str, at: float = NOW, **request: Any) -> Submission:
    return Submission(ref, "image", {"prompt": "a fox", **request}, "unknown", sent_at=at)


def name(found: Verdict) -> str:
    assert isinstance(found, Became)
    return found.generation.id


class TestJudge:
    def test_the_only_one_is_it_at_once(self) -> None:
        """However long ago it was sent."""
        for now in (NOW, SETTLED):
            assert name(verdict(seen(row("gen_it")), now=now)) == "gen_it"

    def test_none_is_a_verdict_once_it_settled(self) -> None:
        """Before that it may still come."""
        assert verdict(seen(), now=SETTLED - 11) == StillOpen(())
        assert verdict(seen()) == NothingAccepted()

    def test_what_was_not_seen_whole_says_nothing(self) -> None:
        """There may be one further down."""
        assert verdict(seen(row("gen_wolf", prompt="a wolf"), whole=False)) == StillOpen(())

    @pytest.mark.parametrize("at", [-890, 1790])
    def test_a_wrong_clock_rules_nothing_out(self, at: float) -> None:
        """It would fit if our clock, or that of the machine that sent it, were a quarter of an hour off."""
        found = verdict(seen(row("gen_it", at=NOW + at)))
        assert isinstance(found, StillOpen)
        assert [one.id for one in found.candidates] == ["gen_it"]

    def test_without_a_time_it_could_be_any(self) -> None:
        """For a person to decide, also later."""
        assert isinstance(verdict(seen(row("gen_it", created_at=None))), StillOpen)

    @pytest.mark.parametrize("fields", [{"prompt": None}, {"prompt": "a f..."}, {"model": "the/new-default"}])
    def test_a_list_that_cannot_tell_rules_nothing_out(self, fields: dict[str, Any]) -> None:
        """It may be this, shown otherwise: too little to adopt it, too much to say that there is nothing."""
        assert verdict(seen(row("gen_it", **fields)), now=NOW) == StillOpen(())
        found = verdict(seen(row("gen_it", **fields)))
        assert isinstance(found, StillOpen)
        assert [one.id for one in found.candidates] == ["gen_it"]
        assert verdict(seen(row("gen_it", **fields)), claimed="gen_it") == NothingAccepted()

    def test_what_fits_is_it_beside_what_could_be(self) -> None:
        """Where it cannot be told, what fits is named first."""
        rows = [row("gen_dim", prompt=None), row("gen_it", at=NOW + 1)]
        assert name(verdict(seen(*rows))) == "gen_it"
        found = verdict(seen(*rows), twin("theirs"))
        assert isinstance(found, StillOpen)
        assert [one.id for one in found.candidates] == ["gen_it", "gen_dim"]

    def test_nothing_is_shared_out_that_could_be_anothers(self) -> None:
        """Of two equal orders neither came to nothing while one row may be the second's, shown otherwise."""
        rows = [row("gen_it", at=NOW + 2), row("gen_dim", prompt=None, at=NOW + 3)]
        for sent_at in (NOW - 1, NOW + 1):
            assert isinstance(verdict(seen(*rows), twin("other", sent_at)), StillOpen)

    def test_a_row_that_fits_another_order_may_still_be_this(self) -> None:
        """As long as that one is open, too: once it has it, the list is clear."""
        shown, rival = row("gen_x", model="m"), twin("named", model="m")
        assert isinstance(verdict(seen(shown), rival), StillOpen)
        assert verdict(seen(shown), claimed="gen_x") == NothingAccepted()

    def test_what_another_has_is_not_there(self) -> None:
        """Its generation explains nothing about this one."""
        assert verdict(seen(row("gen_theirs")), claimed="gen_theirs") == NothingAccepted()

    def test_more_than_there_are_orders_for_is_for_a_person(self) -> None:
        """One of them is somebody else's."""
        rows = [row("gen_a"), row("gen_b", at=NOW + 1), row("gen_c", at=NOW + 2)]
        assert isinstance(verdict(seen(*rows)), StillOpen)
        assert isinstance(verdict(seen(*rows), twin("theirs")), StillOpen)

    def test_twins_are_shared_out_by_age(self) -> None:
        """The first sent gets the first made, whoever asks; what is left over was not charged."""
        rows = [row("gen_a", at=NOW + 3), row("gen_b", at=NOW + 4)]
        assert name(verdict(seen(*rows), twin("later", NOW + 1), twin("last", NOW + 2))) == "gen_a"
        assert name(verdict(seen(*rows), twin("sooner", NOW - 1), twin("last", NOW + 2))) == "gen_b"
        assert verdict(seen(*rows), twin("first", NOW - 2), twin("sooner", NOW - 1)) == NothingAccepted()

    def test_a_twin_takes_what_only_it_can_have_become(self) -> None:
        """A generation made before this was sent is the other's, which leaves the second to this one."""
        rows = [row("gen_theirs", at=NOW + 1), row("gen_mine", at=NOW + 601)]
        assert name(verdict(seen(*rows), twin("theirs", NOW), at=NOW + 600, now=SETTLED + 600)) == "gen_mine"

    def test_nothing_is_shared_out_too_soon(self) -> None:
        """While a twin is under way, or is for something that differs in what the list does not tell."""
        assert isinstance(verdict(seen(row("gen_a", at=NOW + 101)), twin("late", NOW + 100)), StillOpen)
        assert isinstance(verdict(seen(row("gen_a")), twin("wide", aspect_ratio="16:9")), StillOpen)
