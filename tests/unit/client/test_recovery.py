"""Finding a paid request in the provider's list."""

from collections.abc import Sequence
from typing import Any

import pytest

from receiver.client import Generation, Submission, parse
from receiver.client.recovery import (
    InDoubt,
    Search,
    is_contested,
    may_be,
    same_letters,
    same_words,
    unclaimed,
)
from receiver.client.results import GenerationPage
from tests.unit.client.script import NOW, row


def made(**fields: Any) -> Generation:
    return parse.generation(row(**fields))


def doubt(**request: Any) -> InDoubt:
    return InDoubt("image", {"prompt": "a fox", **request}, NOW)


def listing(times: Sequence[float], *, total: int | None = None, start: int = 0) -> GenerationPage:
    rows = [row(f"gen_{start + n}", at=NOW + at, prompt="a wolf") for n, at in enumerate(times)]
    return parse.generations({"data": rows, "total": total})


class TestInDoubt:
    @pytest.mark.parametrize(
        "fields",
        [{"prompt": "a wolf"}, {"type": "video"}, {"model": "m"}, {"at": NOW - 6}, {"at": NOW + 1000}],
    )
    def test_something_else_does_not_fit(self, fields: dict[str, Any]) -> None:
        """Another prompt, kind or model, or another time."""
        assert doubt().fits(made(), 0.0)
        assert not doubt().fits(made(**fields), 0.0)

    @pytest.mark.parametrize(
        "fields",
        [{"type": None}, {"model": None}, {"created_at": None}, {"prompt": " a  fox\n"}, {"at": NOW - 3}],
    )
    def test_what_is_not_said_may_fit(self, fields: dict[str, Any]) -> None:
        """Nothing said, other blanks, or a clock that is a little off."""
        assert doubt().fits(made(**fields), 0.0)

    def test_the_model_asked_for(self) -> None:
        """By name, or the document's default."""
        assert doubt(model="m").fits(made(model="m"), 0.0)
        assert not doubt(model="m").fits(made(), 0.0)

    def test_the_ratio_if_it_is_echoed(self) -> None:
        """Two that differ in it alone are told apart."""
        assert doubt(aspect_ratio="1:1").fits(made(aspect_ratio="1:1"), 0.0)
        assert doubt().fits(made(aspect_ratio="1:1"), 0.0)
        assert not doubt(aspect_ratio="1:1").fits(made(aspect_ratio="16:9"), 0.0)

    def test_no_prompt_is_no_match(self) -> None:
        """Not even for an order of that word."""
        assert not doubt(prompt="None").fits(made(prompt=None), 0.0)

    @pytest.mark.parametrize(
        "fields",
        [
            {"prompt": None},
            {"prompt": "a f…"},
            {"prompt": "A Fox!"},
            {"model": "the/new-default"},
            {"type": "text-to-image"},
            {"aspect_ratio": "1024x1024"},
        ],
    )
    def test_what_is_shown_otherwise_could_be_it(self, fields: dict[str, Any]) -> None:
        """It does not fit, or might not, and does not rule out either that it is this."""
        assert doubt(aspect_ratio="1:1").could_be(made(**fields))
        assert doubt(aspect_ratio="1:1").fits_nearly(made(**fields), 0.0)
        assert not doubt(aspect_ratio="1:1").fits(made(**fields), 0.0)

    @pytest.mark.parametrize(
        "fields", [{"prompt": "a wolf"}, {"type": "video"}, {"model": "n"}, {"aspect_ratio": "16:9"}]
    )
    def test_something_else_could_not_be_it(self, fields: dict[str, Any]) -> None:
        """Another prompt, a kind or ratio of the document, another model than was asked for."""
        assert doubt(model="m", aspect_ratio="1:1").could_be(made(model="m"))
        assert not doubt(model="m", aspect_ratio="1:1").could_be(made(**{"model": "m", **fields}))

    @pytest.mark.parametrize("model", ["Hailuo 2.3", "minimax/hailuo-2.3:v7"])
    def test_a_model_may_have_other_names(self, model: str) -> None:
        """A title, or a version behind its id."""
        assert doubt(model="minimax/hailuo-2.3").could_be(made(model=model))

    def test_skew_moves_the_window(self) -> None:
        """And when it is not known the window is a minute wider."""
        assert doubt().fits(made(at=NOW + 3600), 3600.0)
        assert not doubt().fits(made(), 3600.0)
        assert doubt().fits(made(at=NOW - 59), None)
        assert not doubt().fits(made(at=NOW - 61), None)


class TestSearch:
    def test_newest_first_ends_with_the_first_that_is_older(self) -> None:
        """What comes after it is older still."""
        search = Search(doubt())
        search.take(listing([20, 10, -100]), 0.0)
        assert (search.finished, search.complete) == (True, True)

    def test_goes_on_while_all_are_newer(self) -> None:
        """To the next page, and the one that follows it."""
        search = Search(doubt())
        search.take(listing([200 - n for n in range(100)]), 0.0)
        assert (search.finished, search.offset) == (False, 90)

    def test_no_order_is_read_to_the_end(self) -> None:
        """A row that is older says nothing about the next."""
        search = Search(doubt())
        search.take(listing([5, -100, 3]), 0.0)
        assert not search.finished
        search.take(listing([]), 0.0)
        assert search.complete

    def test_oldest_first_is_read_from_the_end(self) -> None:
        """`total` says where that is."""
        search = Search(doubt())
        search.take(listing([n - 5000 for n in range(100)], total=4000), 0.0)
        assert search.offset == 4000 - 100 - 10
        search.take(listing([n - 90 for n in range(100)], total=4000, start=3890), 0.0)
        assert not search.finished
        search.take(listing(list(range(10)), total=4000, start=3990), 0.0)
        search.take(listing([], total=4000), 0.0)
        assert search.complete

    def test_a_total_that_leads_astray_is_not_followed(self) -> None:
        """Beyond the end, or past rows that may fit: then all of it is read."""
        for astray in (listing([]), listing([50, 60, 70], start=500)):
            search = Search(doubt())
            search.take(listing([n - 5000 for n in range(100)], total=4000), 0.0)
            search.take(astray, 0.0)
            assert (search.finished, search.offset) == (False, 0)

    def test_has_an_end(self) -> None:
        """After so many pages it stops, and says that it did not see everything."""
        search = Search(doubt())
        pages = 0
        while not search.finished:
            search.take(listing([5, -100, 3], start=3 * pages), 0.0)
            pages += 1
        assert (pages, search.complete) == (20, False)

    def test_finds_each_once(self) -> None:
        """Though pages overlap."""
        search = Search(doubt())
        for _ in range(2):
            search.take(parse.generations([row("gen_it"), row("gen_wolf", prompt="a wolf")]), 0.0)
        assert [found.id for found in search.alike] == ["gen_it"]

    def test_may_have_to_reach_further_back(self) -> None:
        """What is older than that is not looked at."""
        search = Search(doubt(), since=NOW - 900)
        search.take(parse.generations([row("gen_it", at=NOW - 700), row("gen_old", at=NOW - 950)]), 0.0)
        assert search.complete
        assert [found.id for found in search.alike] == ["gen_it"]


class TestIsContested:
    def test_another_open_row_for_the_same(self) -> None:
        """Its own row is none, nor one for something else, or from long ago."""
        same, mine = ("other", "mine")
        for ref, prompt, at, rival in [
            (same, "a fox", NOW, True),
            (mine, "a fox", NOW, False),
            (same, "a wolf", NOW, False),
            (same, "a fox", NOW - 5000, False),
        ]:
            open_row = Submission(ref, "image", {"prompt": prompt}, "unknown", sent_at=at)
            assert is_contested(doubt(), mine, [open_row], made()) is rival

    @pytest.mark.parametrize(
        ("request_", "rival"),
        [({}, True), ({"prompt": "A Fox"}, True), ({"prompt": "a fox 2"}, False), ({"model": "n"}, False)],
    )
    def test_another_that_would_be_shown_so(self, request_: dict[str, Any], rival: bool) -> None:
        """Of any model, if it asked for none; but what is one's whole prompt is not the other's beginning."""
        open_row = Submission("other", "image", {"prompt": "a fox", **request_}, "unknown", sent_at=NOW)
        assert is_contested(doubt(model="m"), "mine", [open_row], made(model="m")) is rival


class TestUnclaimed:
    def test_leaves_what_is_nobodys(self) -> None:
        """In the same order."""
        found = [made(name="gen_a"), made(name="gen_b")]
        assert [one.id for one in unclaimed(found, {"gen_a"})] == ["gen_b"]


SENT = "A café & a “fox”,\nin the fog"


class TestSameWords:
    def test_blanks_make_no_difference(self) -> None:
        """Anything else does."""
        assert same_words(" a  fox\n", "a fox")
        assert not same_words("A fox", "a fox")


class TestSameLetters:
    @pytest.mark.parametrize(
        "shown", [SENT.upper(), 'A CAFE & a "fox" in the fog', "A caf&eacute; &amp; a fox, in the fog", SENT]
    )
    def test_case_accents_and_signs_make_no_difference(self, shown: str) -> None:
        """Nor do blanks and HTML entities."""
        assert same_letters(shown, SENT)

    def test_a_letter_does(self) -> None:
        """In any script."""
        assert not same_letters("a box", "a fox")
        assert not same_letters("狐", "狼")


class TestMayBe:
    def test_what_is_left_out_or_added_makes_no_difference(self, subtests: pytest.Subtests) -> None:
        """With or without a sign that something is missing, and in other letters too."""
        for shown in (
            "",
            "…",
            "A ca",
            "a cafe...",
            "A café & a… fog",
            "a fox",
            f"{SENT}, best quality",
            f"Draw: {SENT}",
        ):
            with subtests.test(shown=shown):
                assert may_be(shown, SENT)

    @pytest.mark.parametrize("shown", ["a wolf", "A café & a wolf…", "in the fog: a café"])
    def test_what_is_there_must_be_in_both(self, shown: str) -> None:
        """Other words are another text."""
        assert not may_be(shown, SENT)
