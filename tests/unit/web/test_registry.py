"""What all connections of a listener may hold together, seen by those that are genuine."""

import asyncio
import time
from contextlib import suppress
from socket import socketpair

import pytest

from receiver.telemetry.refusals import Refusals
from receiver.web import registry
from receiver.web.app import PublicApp
from receiver.web.connection import Connection
from receiver.web.registry import Registry
from tests.unit.web.serving import SOURCES, FakeStore, Site, request, served, signed

PATH = "/webhooks/photoverse"


def post() -> bytes:
    return request("POST", PATH, b"{}", signed(b"{}", now=int(time.time())))


class TestRegistry:
    async def test_oldest_stranger_goes(self, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond the limit the oldest connection that never delivered goes; a known sender's stays."""
        made = Registry(max_connections=3)
        monkeypatch.setattr("receiver.web.server.Registry", lambda **_limit: made)
        async with (
            served(PublicApp(SOURCES, store.record, store.check, Refusals())) as site,
            site.wire() as known,
            site.wire() as oldest,
            site.wire() as second,
        ):
            await known.say(post())
            assert (await known.hear()).status == 200
            async with site.wire() as newest:
                await newest.say(post())
                assert (await newest.hear()).status == 200
                with suppress(ConnectionResetError):
                    assert await oldest.rest() == b""
                for wire in (known, second):
                    await wire.say(post())
                    assert (await wire.hear()).status == 200

    async def test_one_goes_for_each_that_is_too_many(self, store: FakeStore) -> None:
        """Also if many come before the event loop reports the end of the first that went."""
        made = Registry(max_connections=3)
        app = PublicApp(SOURCES, store.record, store.check, Refusals())
        pairs = [socketpair() for _ in range(20)]
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.connect_accepted_socket(lambda: Connection(app, made), ours) for ours, _ in pairs)
        )
        assert len(made) == 3
        for _, theirs in pairs[:17]:
            theirs.settimeout(10)
            assert await asyncio.to_thread(theirs.recv, 1) == b""
        for connection in made.all():
            connection.abort()
        for _, theirs in pairs:
            theirs.close()

    async def test_first_incomplete_body_goes(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond the bytes that all may hold, the request begun first is refused; the others are not."""
        monkeypatch.setattr(registry, "MAX_HELD_BYTES", 250_000)
        async with site.wire() as first, site.wire() as second:
            for wire in (first, second):
                await wire.say(request("POST", PATH, b"x" * 150_000, {"Content-Length": "150001"}))
            assert (await first.hear()).status == 408
            await second.say(b"x")
            assert (await second.hear()).status == 401

    async def test_largest_go(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond those bytes whoever holds most goes, and many small pieces are much; a small one stays."""
        monkeypatch.setattr(registry, "MAX_HELD_BYTES", 250_000)
        in_pieces = {"Transfer-Encoding": "chunked", "Content-Length": "0"}
        async with site.wire() as small, site.wire() as large:
            whole = post()
            await small.say(whole[:-1])
            await large.say(request("POST", PATH, b"2\r\nxx\r\n" * 3000, in_pieces))
            assert (await large.hear()).status == 408
            await small.say(whole[-1:])
            assert (await small.hear()).status == 200

    async def test_what_waits_in_line(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """What has not been read yet counts too."""
        monkeypatch.setattr(registry, "MAX_HELD_BYTES", 100_000)
        with monkeypatch.context() as patch:
            patch.setattr(registry, "_LONG_S", -1)
            async with site.wire() as first, site.wire() as second:
                for wire in (first, second):
                    await wire.say(request("GET", "/healthz") * 1200)
                assert (await first.hear()).status == 408
                patch.undo()
                assert (await second.hear()).status == 200
