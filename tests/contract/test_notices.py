"""Telling operators once, however many look: kept alike by SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

import orjson
import pytest
from sqlalchemy import select

from receiver.store import Store
from receiver.store.notices import (
    QUIET_MS,
    Observed,
    expect_worker,
    let_worker_go,
    look,
    note_secrets,
    tell,
    untold,
    worker_cause,
)
from receiver.store.spools import Spool
from receiver.store.tables import EVENT
from tests.stored import NOW

DOWN: Final = Observed("destination:orders", True, "destination_down", "destination_back", "It is down.")
BACK: Final = replace(DOWN, is_wrong=False, summary="It is back.")


@pytest.fixture
async def store(either_database: str) -> AsyncIterator[Store]:
    opened = Store(either_database, destinations=["ops"])
    yield opened
    opened.close()


async def observe(store: Store, *observed: Observed, at: int) -> list[str]:
    """Look as a worker does: without a lock first."""
    news: Sequence[Observed] = await store.look(untold, observed, now_ms=at)
    return await store.transact(tell, news, now_ms=at) if news else []


async def written(store: Store) -> list[Any]:
    rows: list[Any] = await store.transact(
        lambda connection: list(connection.execute(select(EVENT).order_by(EVENT.c.id)))
    )
    return rows


class TestTell:
    async def test_begin_and_end(self, store: Store) -> None:
        """Each is told once, as an event that waits to be settled, with what a person has to know."""
        assert await observe(store, BACK, at=NOW) == []
        assert await observe(store, DOWN, at=NOW) == ["destination_down"]
        assert await observe(store, DOWN, at=NOW + 1) == []
        assert await observe(store, BACK, at=NOW + 2) == ["destination_back"]
        first, second = await written(store)
        assert (first.type, second.type) == (
            "receiver.operator.destination_down",
            "receiver.operator.destination_back",
        )
        assert (first.source, first.state) == ("receiver", "pending")
        assert orjson.loads(first.body)["data"]["summary"] == "It is down."

    async def test_once_from_many_processes(self, store: Store, either_database: str) -> None:
        """Of four that see it at the same moment one tells."""
        with closing(Store(either_database)) as b, closing(Store(either_database)) as c:
            told = await asyncio.gather(
                *(one.transact(tell, [DOWN], now_ms=NOW) for one in (store, b, c, store))
            )
        assert sorted(told) == [[], [], [], ["destination_down"]]

    async def test_at_most_once_in_an_hour(self, store: Store) -> None:
        """What goes up and down all the time is told once an hour of each, and as it is at the end."""
        told = []
        for minute in range(120):
            observed = DOWN if minute % 2 else BACK
            told += await observe(store, observed, at=NOW + minute * 60_000)
        assert told == ["destination_down", "destination_back"] * 2
        assert await observe(store, BACK, at=NOW + 3 * QUIET_MS) == []

    async def test_an_end_that_was_kept_back_is_told_later(self, store: Store) -> None:
        """Nobody is left to believe that it is down."""
        for at, observed in ((0, DOWN), (1, BACK), (QUIET_MS, DOWN)):
            await observe(store, observed, at=NOW + at)
        assert await observe(store, BACK, at=NOW + QUIET_MS) == []
        assert await observe(store, BACK, at=NOW + QUIET_MS + 1) == ["destination_back"]

    async def test_an_end_of_which_nobody_hears(self, store: Store) -> None:
        """It is noted without an event, and the next beginning is told."""
        left = replace(DOWN, cause="spool:a", well=None)
        assert await observe(store, left, at=NOW) == ["destination_down"]
        assert await observe(store, replace(left, is_wrong=False), at=NOW + 1) == []
        assert await observe(store, left, at=NOW + QUIET_MS) == ["destination_down"]
        assert len(await written(store)) == 2

    async def test_what_happens_again(self, store: Store) -> None:
        """New dead letters are told an hour after the ones before; the same ones are not told again."""
        dead = Observed("dead:orders", True, "dead_letters", latest_ms=NOW - 5)
        assert await observe(store, dead, at=NOW) == ["dead_letters"]
        assert await observe(store, dead, at=NOW + 2 * QUIET_MS) == []
        more = replace(dead, latest_ms=NOW + 10)
        assert await observe(store, more, at=NOW + 20) == []
        assert await observe(store, more, at=NOW + QUIET_MS) == ["dead_letters"]

    @pytest.mark.parametrize("cause", ["bucket:*", "host:ünï", "disk:" + "x" * 500, "a b\0c"])
    async def test_any_cause(self, store: Store, cause: str) -> None:
        """Whatever a thing is called, it is told of."""
        assert await observe(store, replace(DOWN, cause=cause), at=NOW) == ["destination_down"]


class TestNoteSecrets:
    async def test_remembers_the_last_use(self, store: Store) -> None:
        """A secret counts from when it was first there, and from each use; one that is gone does not."""
        await store.transact(note_secrets, {("p", "a"): False, ("p", "b"): False}, now_ms=NOW)
        await store.transact(note_secrets, {("p", "a"): True, ("p", "b"): False}, now_ms=NOW + 5)
        sight = await store.look(look, ["ops"])
        assert sight.secrets == {("p", "a"): NOW + 5, ("p", "b"): NOW}
        await store.transact(note_secrets, {("p", "a"): False}, now_ms=NOW + 9)
        assert (await store.look(look, ["ops"])).secrets == {("p", "a"): NOW + 5}

    async def test_a_new_one(self, store: Store) -> None:
        """Those beside it count from its arrival: nothing came to show that they are not needed."""
        await store.transact(note_secrets, {("p", "a"): False, ("q", "a"): False}, now_ms=NOW)
        joined = {("p", "a"): False, ("p", "b"): False, ("q", "a"): False}
        await store.transact(note_secrets, joined, now_ms=NOW + 5)
        sight = await store.look(look, ["ops"])
        assert sight.secrets == {("p", "a"): NOW + 5, ("p", "b"): NOW + 5, ("q", "a"): NOW}


class TestWorkers:
    async def test_missed_from_its_first_sign_until_it_stops(self, store: Store) -> None:
        """A worker that dies as soon as it is expected is seen to be gone; one that stopped is not missed."""
        for spool in ("killed", "stopped"):
            await store.transact(expect_worker, spool, now_ms=NOW)
        await store.transact(let_worker_go, "stopped")
        assert (await store.look(look, [])).workers == [Spool("killed", NOW)]
        gone = Observed(worker_cause("killed"), True, "worker_gone", "worker_back")
        assert await observe(store, gone, at=NOW) == ["worker_gone"]
