"""What operators are told: each trouble is really caused, with real processes, and its event arrives."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from receiver.assets.folder_marker import folder_id
from receiver.sandbox import Sandbox
from receiver.sandbox.state import Knobs
from receiver.telemetry.redact import fingerprint
from tests.acceptance.service import MORTAL, SECRET, Service, completed, failed, kill, service
from tests.servers.assets import AssetHost
from tests.servers.http_sink import Answer, HttpSink, http_sink
from tests.waiting.blocking import until

OLD = "whsec_of_last_year_0123456789"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Service]:
    settings = {
        "RECEIVER_DESTINATIONS__OPS__URL": f"file://{tmp_path}/ops.jsonl",
        "RECEIVER_DESTINATIONS__OPS__TYPES": "receiver.operator",
    }
    with service(tmp_path, **settings) as running:
        yield running


def told(running: Service, word: str, **facts: str) -> list[dict[str, Any]]:
    """Return the messages of one kind, and with these *facts*, that operators got."""
    wanted = f"co.aivisualstudio.receiver.operator.{word}"
    return [
        one
        for one in running.messages("ops")
        if one["type"] == wanted and facts.items() <= one["data"]["facts"].items()
    ]


def is_told(running: Service, word: str, **facts: str) -> dict[str, Any]:
    """Wait for one message of a kind, and with these *facts*; it is the only one."""
    [message] = until(lambda: told(running, word, **facts))
    return message


def send_to(running: Service, url: str) -> None:
    """Give the service a destination at *url* which it soon finds down where that does not answer."""
    options = {"URL": url, "TYPES": "generation.failed", "BREAKER_FAILURES": "2", "BREAKER_MAX_S": "0.5"}
    running.settings.update({f"RECEIVER_DESTINATIONS__HOOKS__{name}": text for name, text in options.items()})


async def deliver(running: Service, number: int) -> None:
    for one in range(number):
        await asyncio.to_thread(running.deliver, failed(f"gen_{one}"))


class TestDestinations:
    async def test_down_and_back(self, running: Service) -> None:
        """A destination that is down is told, and so is its return; others learn nothing of it."""
        sink = HttpSink()
        send_to(running, sink.url)
        running.settings["RECEIVER_NOTICE_BACKLOG_S"] = "2"
        stage = "destination hooks"  # of what a busy machine is late with, operators hear as well
        await asyncio.to_thread(running.start)
        await deliver(running, 6)
        down = await asyncio.to_thread(is_told, running, "destination_down")
        assert down["data"]["facts"]["destination"] == "hooks"
        assert "could not be reached" in down["data"]["facts"]["error"]
        await asyncio.to_thread(is_told, running, "backlog_old", stage=stage)
        await sink.start()
        try:
            await asyncio.to_thread(is_told, running, "destination_back")
            await asyncio.to_thread(is_told, running, "backlog_gone", stage=stage)
        finally:
            await sink.stop()
        assert {one["type"] for one in running.messages()} == {"co.aivisualstudio.generation.failed"}

    async def test_dead_letters(self, running: Service) -> None:
        """What was given up is told once, however much there is of it."""
        async with http_sink() as sink:
            sink.answer = lambda _: Answer(422)
            send_to(running, sink.url)
            await asyncio.to_thread(running.start)
            await deliver(running, 5)
            dead = await asyncio.to_thread(is_told, running, "dead_letters")
        assert dead["data"]["facts"]["destination"] == "hooks"
        assert "422" in dead["data"]["facts"]["error"]

    async def test_survives_a_crash(self, running: Service) -> None:
        """What was to be told and could not be sent is sent after kill -9, under the same id."""
        async with http_sink() as sink:
            sink.may_answer.clear()
            running.settings |= {"RECEIVER_DESTINATIONS__OPS__URL": sink.url, **MORTAL}
            process = await asyncio.to_thread(running.start)
            await asyncio.to_thread(running.deliver, b"no event at all")
            await asyncio.to_thread(until, lambda: sink.read)
            kill(process)
            sink.may_answer.set()
            await asyncio.to_thread(running.start)
            await asyncio.to_thread(until, lambda: len(sink.received) > 1)
        assert len({json.loads(one.body)["id"] for one in sink.received}) == 1
        assert json.loads(sink.received[0].body)["type"].endswith(".quarantined")


class TestAssets:
    async def test_bucket_down_and_back(
        self, running: Service, asset_host: AssetHost, tmp_path: Path
    ) -> None:
        """A folder in whose place a file stands is down, and back once that is gone."""
        (tmp_path / "assets").mkdir()
        await asyncio.to_thread(running.start)
        await asyncio.to_thread(until, lambda: running.logged("worker started"))
        (tmp_path / "assets").rename(tmp_path / "away")
        (tmp_path / "assets").write_text("in the way")
        for one in range(5):
            await asyncio.to_thread(running.deliver, completed(f"gen_{one}", f"{asset_host.url}/{one}.png"))
        down = await asyncio.to_thread(is_told, running, "bucket_down")
        assert down["data"]["facts"]["name"] == "common"
        (tmp_path / "assets").unlink()
        (tmp_path / "away").rename(tmp_path / "assets")
        await asyncio.to_thread(is_told, running, "bucket_back")

    def test_host_down_and_back(self, running: Service, asset_host: AssetHost) -> None:
        """A host of assets that answers nothing but 503 is down, until it does."""
        running.start()
        asset_host.status = 503
        for one in range(6):
            running.deliver(completed(f"gen_{one}", f"{asset_host.url}/{one}.png"))
        assert is_told(running, "asset_host_down")["data"]["facts"]["name"] == "127.0.0.1"
        asset_host.status = 200
        is_told(running, "asset_host_back")


class TestOurselves:
    def test_quarantine(self, running: Service) -> None:
        """A genuine body that nobody can read is told."""
        running.start()
        running.deliver(b"no event at all")
        data = is_told(running, "quarantined")["data"]
        assert (data["next"], data["runbook"]) == (
            "receiver quarantine list --state open",
            "docs/operations.md#quarantine",
        )

    def test_a_sender_cannot_tell_operators_anything(self, running: Service) -> None:
        """A genuine body with a type of ours is quarantined like any that would speak in our name."""
        running.start()
        body = failed("gen_1").replace(b"generation.failed", b"receiver.operator.disk_low")
        assert running.deliver(body).json["status"] == "quarantined"
        is_told(running, "quarantined")
        assert not told(running, "disk_low")

    def test_disk(self, running: Service) -> None:
        """Less room than there is to be is told for each disk of use."""
        running.settings["RECEIVER_NOTICE_DISK_BYTES"] = str(10**15)
        running.start()
        until(lambda: len(told(running, "disk_low")) == 3)
        causes = {one["data"]["cause"].rpartition(":")[2] for one in told(running, "disk_low")}
        assert causes == {"spool", "assets", "database"}

    def test_disk_of_two_workers(self, running: Service, tmp_path: Path) -> None:
        """The spool folders of two workers on one machine are two troubles: each is told."""
        running.settings["RECEIVER_NOTICE_DISK_BYTES"] = str(10**15)
        running.start()
        running.settings["RECEIVER_SPOOL_DIR"] = f"{tmp_path}/other"
        running.start("worker")
        until(lambda: len(told(running, "disk_low")) == 4)
        folders = {one["data"]["facts"]["folder"] for one in told(running, "disk_low")}
        assert f"{tmp_path}/other" in folders

    def test_secret(self, running: Service) -> None:
        """Of two secrets the one that verifies nothing is told, by its fingerprint; of the other, its use."""
        running.settings["RECEIVER_WEBHOOK_SECRETS"] = f"{SECRET.decode()},{OLD}"
        running.settings["RECEIVER_NOTICE_SECRET_S"] = "1"
        running.start()
        until(lambda: running.deliver(failed("gen_1")).status == 200 and told(running, "secret_unused"))
        told_of = is_told(running, "secret_unused", fingerprint=f"sha256:{fingerprint(OLD)}")["data"]
        assert OLD not in json.dumps(told_of)
        assert fingerprint(OLD)[:8] in running.command("config").stdout
        assert _used_ms(running, SECRET.decode()) > _used_ms(running, OLD)

    def test_credits(self, running: Service) -> None:
        """A generation that the provider refused for want of credits is told."""
        with Sandbox(knobs=Knobs(credits=2)) as sandbox:
            running.settings["RECEIVER_API_KEY"] = sandbox.key()
            running.settings["RECEIVER_API_BASE_URL"] = sandbox.url
            running.start()
            done = running.command("image", "a lighthouse in fog", "--ref", "order-1")
            assert done.returncode == 4, done.stderr
            facts = is_told(running, "credits_low")["data"]["facts"]
            assert facts == {"source": "photoverse", "left": 2}

    def test_worker_gone_and_back(self, running: Service, tmp_path: Path) -> None:
        """A worker that was killed is missed by another; one that was stopped is not."""
        running.settings |= MORTAL
        running.start("web")
        running.start("worker")
        others = {}
        for name in ("killed", "stopped"):
            running.settings["RECEIVER_SPOOL_DIR"] = f"{tmp_path}/{name}"
            others[name] = running.start("worker")
        until(lambda: len(running.logged("worker started")) == 3)
        until(lambda: _expected(running) == 3)
        others["stopped"].terminate()
        others["stopped"].wait()
        assert _expected(running) == 2
        listed = running.command("workers", "--json").stdout.splitlines()
        assert [json.loads(line)["state"] for line in listed].count("stopped") == 1
        kill(others["killed"])
        killed = folder_id(tmp_path / "killed/id")
        gone = is_told(running, "worker_gone", worker=killed)
        host, pid = socket.gethostname(), gone["data"]["facts"]["pid"]
        assert gone["data"]["summary"] == f"Worker {pid} on {host} was killed, or its machine is gone."
        assert killed in [line["spool"] for line in running.logged("worker started")]
        running.settings["RECEIVER_SPOOL_DIR"] = f"{tmp_path}/killed"
        running.start("worker")
        assert is_told(running, "worker_back", worker=killed)["data"]["cause"] == gone["data"]["cause"]

    def test_nothing_unless_it_is_asked_for(self, running: Service) -> None:
        """Without a destination that names a type of ours nothing is written, and none gets anything."""
        for name in ("URL", "TYPES"):
            del running.settings[f"RECEIVER_DESTINATIONS__OPS__{name}"]
        running.settings["RECEIVER_NOTICE_DISK_BYTES"] = str(10**15)
        running.start()
        id_ = running.deliver(failed("gen_1")).json["event_id"]
        running.deliver(b"no event at all")
        until(lambda: running.forwarded(id_))
        assert _expected(running) == 0
        assert running.messages() == running.forwarded(id_)


def _expected(running: Service) -> int:
    """Return how many workers are missed if they go."""
    [[count]] = running.rows("SELECT count(*) FROM notice WHERE cause LIKE 'worker:%'")
    return int(count)


def _used_ms(running: Service, secret: str) -> int:
    """Return when a secret was last of use, as far as is noted."""
    query = "SELECT used_ms FROM secret_use WHERE fingerprint = ?"
    [[used_ms]] = running.rows(query, fingerprint(secret))
    return int(used_ms)
