"""The private listener."""

import asyncio
from importlib import import_module

import pytest
from starlette.applications import Starlette

from receiver.admin.server import build_server
from receiver.cli.listener import listen
from tests.waiting.aio import until

WITHIN_S = 10


class TestServer:
    async def test_stop_waits_for_no_tick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It sleeps until then, and not in tenths of a second to find out."""
        monkeypatch.setattr(import_module("receiver.admin.server"), "_TICK_S", 60)
        server = build_server(Starlette())
        serving = asyncio.create_task(server.serve([listen("127.0.0.1", 0)]))
        await until(lambda: server.started)
        async with asyncio.timeout(WITHIN_S):
            server.stop()
            await serving
