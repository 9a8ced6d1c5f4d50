"""What all connections of a listener may hold together, seen by those that are genuine."""

import time
from contextlib import suppress

import pytest

from receiver.telemetry.refusals import Refusals
from receiver.web import registry
from receiver.web.app import build_app
from receiver.web.registry import Registry
from tests.unit.web.serving import SOURCES, FakeStore, Site, request, served, signed

PATH = "/webhooks/photoverse"


def post() -> bytes:
    return request("POST", PATH, b"{}", signed(b"{}", now=int(time.time())))


class TestRegistry:
    async def test_oldest_stranger_goes(self, store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond the limit the oldest connection that never delivered goes; a known sender's stays."""
        made = Registry(max_connections=3)
        monkeypatch.setattr("receiver.web.server.Registry", lambda: made)
        async with (
            served(build_app(SOURCES, store, Refusals())) as site,
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

    async def test_first_incomplete_body_goes(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond the bytes that all may hold, the request begun first is refused; the others are not."""
        monkeypatch.setattr(registry, "MAX_HELD_BYTES", 250_000)
        async with site.wire() as first, site.wire() as second:
            for wire in (first, second):
                await wire.say(request("POST", PATH, b"x" * 150_000, {"Content-Length": "150001"}))
            assert (await first.hear()).status == 408
            await second.say(b"x")
            assert (await second.hear()).status == 401
