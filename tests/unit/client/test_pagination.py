"""Walking a list that changes under the walker."""

from collections.abc import Callable

import pytest

from receiver.client import parse
from receiver.client.errors import InvalidParameter
from receiver.client.pagination import Walk
from receiver.client.results import GenerationPage

Serve = Callable[[int, int], list[str]]


def page(ids: list[str]) -> GenerationPage:
    return parse.generations([{"id": name} for name in ids])


def walked(serve: Serve, *, page_size: int = 20, at_most: int = 100) -> tuple[list[str], int]:
    """Return every id yielded, and how many pages it took."""
    walk, ids, pages = Walk(page_size), list[str](), 0
    while not walk.finished and pages < at_most:
        ids += [row.id for row in walk.take(page(serve(walk.offset, walk.limit)))]
        pages += 1
    return ids, pages


class TestWalk:
    @pytest.mark.parametrize("total", [0, 1, 9, 10, 11, 19, 20, 21, 55, 200])
    def test_yields_every_row_once(self, total: int) -> None:
        """Whatever the length, nothing is missed or repeated."""
        rows = [f"gen_{n}" for n in range(total)]
        ids, _ = walked(lambda offset, limit: rows[offset : offset + limit])
        assert ids == rows

    def test_short_pages_are_not_the_end(self) -> None:
        """A provider that caps the limit below what was asked is still read to the end."""
        rows = [f"gen_{n}" for n in range(100)]
        ids, _ = walked(lambda offset, _: rows[offset : offset + 15], page_size=100)
        assert ids == rows

    def test_rows_that_arrive_meanwhile_shift_nothing_away(self) -> None:
        """New rows push known ones to the next page; those are not yielded again."""
        rows = [f"gen_{n}" for n in range(60)]

        def serve(offset: int, limit: int) -> list[str]:
            served = rows[offset : offset + limit]
            rows[:0] = [f"new_{len(rows)}_{n}" for n in range(3)]
            return served

        ids, _ = walked(serve)
        assert [name for name in ids if name.startswith("gen_")] == [f"gen_{n}" for n in range(60)]

    def test_rows_that_leave_meanwhile_hide_none(self) -> None:
        """As many as the overlap may leave the list between two pages."""
        rows = [f"gen_{n}" for n in range(60)]

        def serve(offset: int, limit: int) -> list[str]:
            served = rows[offset : offset + limit]
            del rows[:5]
            return served

        ids, _ = walked(serve)
        assert set(ids) == {f"gen_{n}" for n in range(60)}

    def test_a_provider_that_ignores_offset_ends(self) -> None:
        """The same page again and again is not walked for ever."""
        ids, pages = walked(lambda _offset, _limit: ["a", "b"] * 10)
        assert set(ids) == {"a", "b"}
        assert pages == 2

    @pytest.mark.parametrize("size", [0, 101])
    def test_refuses_impossible_pages(self, size: int) -> None:
        """One to a hundred rows."""
        with pytest.raises(InvalidParameter):
            Walk(size)

    def test_ends_after_so_many_pages(self) -> None:
        """Whatever is left."""
        walk = Walk(2, max_pages=2)
        for n in range(2):
            assert not walk.finished
            walk.take(page([f"gen_{n}a", f"gen_{n}b"]))
        assert walk.finished

    def test_overlaps_as_asked(self) -> None:
        """None, a few, or at most all but one row of a page."""
        for overlap, offset in [(0, 3), (2, 1), (50, 1)]:
            walk = Walk(3, overlap=overlap)
            walk.take(page(["gen_1", "gen_2", "gen_3"]))
            assert walk.offset == offset

    @pytest.mark.parametrize("wrong", [{"overlap": -1}, {"max_pages": 0}])
    def test_refuses_what_makes_no_sense(self, wrong: dict[str, int]) -> None:
        """A walk that could not begin."""
        with pytest.raises(InvalidParameter):
            Walk(20, **wrong)
