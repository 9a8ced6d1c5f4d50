"""The private listener, beside whatever else a process does."""

import asyncio
import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog.testing

from receiver.cli.private import running_admin
from receiver.errors import ConfigError
from receiver.settings import Settings
from receiver.store import Store
from receiver.telemetry.refusals import Refusals
from tests.unit.cli.command import SECRET, Command, wait_for

TOKEN = "admin_0123456789abcdef"


def ask(url: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def fact(line: str) -> Any:
    return json.loads(line)


class TestServe:
    def test_has_it_on_a_port_of_its_own(self, command: Command) -> None:
        """With the token it answers; the public port knows none of its routes; the log has no token."""
        settings = {"RECEIVER_WEBHOOK_SECRETS": SECRET, "RECEIVER_PORT": "0", "RECEIVER_ADMIN_PORT": "0"}
        with command.started("serve", **settings) as process:
            ready = fact(wait_for(process, "admin ready"))
            public = fact(wait_for(process, '"listening"'))["url"]
            token = (command.folder / "data/admin-token").read_text().strip()
            known = {"Authorization": f"Bearer {token}"}
            assert ask(ready["url"], "/v1/events") == (401, ask(ready["url"], "/nothing")[1])
            assert ask(ready["url"], "/v1/events", known)[0] == 200
            assert b"receiver_store_up 1.0" in ask(ready["url"], "/metrics", known)[1]
            assert ready["kept_in"].endswith("admin-token")
            for path in ("/metrics", "/v1/events", "/v1/operations"):
                assert ask(public, path, known)[0] == 404
            process.terminate()
            _, log = process.communicate(timeout=20)
        assert process.returncode == 0
        assert token not in log


class TestAdmin:
    def test_runs_alone(self, command: Command) -> None:
        """Without a signing secret: it receives nothing."""
        settings = {"RECEIVER_ADMIN_PORT": "0", "RECEIVER_ADMIN_TOKEN": TOKEN}
        with command.started("admin", **settings) as process:
            ready = fact(wait_for(process, "admin ready"))
            known = {"Authorization": f"Bearer {TOKEN}"}
            assert ask(ready["url"], "/v1/deliveries", known)[0] == 200
            process.terminate()
            process.communicate(timeout=20)
        assert process.returncode == 0
        assert not (command.folder / "data/admin-token").exists()

    def test_is_refused_where_everybody_could_try(self, command: Command) -> None:
        """An address that other machines reach needs a token that somebody chose."""
        done = command.run("admin", RECEIVER_ADMIN_HOST="0.0.0.0", RECEIVER_ADMIN_PORT="0")
        assert done.returncode == 2
        assert "RECEIVER_ADMIN_TOKEN is not set" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_port_in_use(self, command: Command) -> None:
        """Is named by its own setting, not by the public one's."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            done = command.run("admin", RECEIVER_ADMIN_PORT=port, RECEIVER_ADMIN_TOKEN=TOKEN)
        assert done.returncode == 2
        assert "RECEIVER_ADMIN_PORT" in done.stderr


class TestRunningAdmin:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return Store(f"sqlite:///{tmp_path}/receiver.db")

    @pytest.mark.usefixtures("clean_environment")
    async def test_is_done_without_where_nobody_asked_for_it(self, store: Store) -> None:
        """A token that cannot be had ends no service whose webhooks matter more."""
        settings = Settings(admin_host="0.0.0.0")
        with structlog.testing.capture_logs() as log:
            async with running_admin(settings, store, Refusals(), asyncio.Event(), wish="if possible"):
                pass
        assert [line["event"] for line in log] == ["admin not started"]
        store.close()

    @pytest.mark.usefixtures("clean_environment")
    @pytest.mark.parametrize("wish", ["if possible", "if asked for"])
    async def test_refuses_where_it_was_asked_for(self, store: Store, wish: Any) -> None:
        """Whoever sets the port wants it."""
        settings = Settings(admin_host="0.0.0.0", admin_port=0)
        with pytest.raises(ConfigError, match="RECEIVER_ADMIN_TOKEN"):
            async with running_admin(settings, store, Refusals(), asyncio.Event(), wish=wish):
                pass
        store.close()

    @pytest.mark.usefixtures("clean_environment")
    async def test_is_not_there_unless_asked_for(self, store: Store) -> None:
        """Two processes on one machine would fight for the port."""
        with structlog.testing.capture_logs() as log:
            async with running_admin(Settings(), store, Refusals(), asyncio.Event(), wish="if asked for"):
                pass
        assert log == []
        store.close()
