"""An asset host that is down for longer than events wait: forwarded without, told of once when it is back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.service import MORTAL, Service, completed, kill, service
from tests.servers.assets import PNG, AssetHost
from tests.waiting.blocking import until

FOLLOW_UP = "co.aivisualstudio.generation.asset_mirrored"
POINTS = ("late claim", "fetch", "upload", "late settle", "late send")
"""Where a worker dies: each before anyone knows what it did."""


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path, **settings(tmp_path)) as offered:
        yield offered


def settings(folder: Path) -> dict[str, str]:
    """Return settings with hardly any patience, and two destinations."""
    return {
        "RECEIVER_ASSET_PATIENCE_S": "0.2",
        "RECEIVER_POLL_S": "0.05",
        "RECEIVER_DESTINATIONS__AUDIT__URL": f"file://{folder}/audit.jsonl",
    }


def gone_without(receiver: Service, host: AssetHost, generation_id: str = "gen_1") -> dict[str, Any]:
    """Have an event forwarded without its asset; return its message."""
    host.status = 503
    answer = receiver.deliver(completed(generation_id, f"{host.url}/{generation_id}.png"))
    event_id = answer.json["event_id"]
    message, *_ = until(lambda: receiver.forwarded(event_id))
    until(lambda: receiver.forwarded(event_id, "audit"))
    return message


def follow_ups(receiver: Service, name: str = "messages") -> list[dict[str, Any]]:
    return [message for message in receiver.messages(name) if message["type"] == FOLLOW_UP]


class TestLateAsset:
    def test_is_told_of_once_in_every_destination(self, receiver: Service, asset_host: AssetHost) -> None:
        """The event goes without; when the host is back one follow-up goes everywhere, with the file."""
        receiver.start()
        first = gone_without(receiver, asset_host)
        assert first["data"]["asset"]["status"] == "failed"
        assert first["data"]["asset"]["error"] == "http_503"
        assert first["data"]["asset"]["retried_until"] > first["time"]
        asset_host.status = 200
        for name in ("messages", "audit"):
            (told,) = until(lambda name=name: follow_ups(receiver, name))  # type: ignore[misc]
            assert (told["subject"], told["source"]) == (first["subject"], first["source"])
            assert told["id"] != first["id"]
            asset = told["data"]["asset"]
            assert Path(urlsplit(asset["url"]).path).read_bytes() == PNG
            assert {**told["data"], "asset": None} == {**first["data"], "asset": None}
        asked = len(asset_host.asked)
        last = receiver.deliver(completed("gen_2", f"{asset_host.url}/b.png")).json["event_id"]
        until(lambda: receiver.forwarded(last) and receiver.forwarded(last, "audit"))
        assert [len(follow_ups(receiver, name)) for name in ("messages", "audit")] == [1, 1]
        assert len(asset_host.asked) == asked + 1

    def test_never_where_it_is_switched_off(self, tmp_path: Path, asset_host: AssetHost) -> None:
        """RECEIVER_ASSET_LATE_S=0: what is given up is given up, and the message says so."""
        with service(tmp_path, **settings(tmp_path), RECEIVER_ASSET_LATE_S="0") as receiver:
            receiver.start()
            first = gone_without(receiver, asset_host)
        assert first["data"]["asset"]["retried_until"] is None
        assert receiver.rows("SELECT count(*) FROM late_asset") == [(0,)]

    def test_the_senders_own_word_does_not_stand_in_its_way(
        self, receiver: Service, asset_host: AssetHost
    ) -> None:
        """A genuine webhook of that very type is quarantined; our own follow-up comes all the same."""
        receiver.start()
        spoof = completed("gen_1", f"{asset_host.url}/other.png").replace(
            b"generation.completed", b"generation.asset_mirrored"
        )
        assert receiver.deliver(spoof).json["status"] == "quarantined"
        gone_without(receiver, asset_host)
        asset_host.status = 200
        (told,) = until(lambda: follow_ups(receiver))
        assert told["data"]["asset"]["source_url"] == f"{asset_host.url}/gen_1.png"

    @pytest.mark.parametrize("point", POINTS)
    def test_killed_at(self, receiver: Service, asset_host: AssetHost, point: str) -> None:
        """Killed at any step of a late attempt, one follow-up comes of it, under one id."""
        receiver.settings |= MORTAL
        process = receiver.start()
        gone_without(receiver, asset_host)
        kill(process)
        asset_host.status = 200
        receiver.start("worker", crash_at=point).wait()
        receiver.start("worker")
        for name in ("messages", "audit"):
            told = until(lambda name=name: follow_ups(receiver, name))  # type: ignore[misc]
            assert {message["data"]["asset"]["status"] for message in told} == {"mirrored"}
        until(lambda: not receiver.rows("SELECT 1 FROM delivery WHERE state <> 'delivered'"))
        ids = {told["id"] for name in ("messages", "audit") for told in follow_ups(receiver, name)}
        assert len(ids) == 1
        assert [path.name for path in receiver.folder.glob("assets/photoverse/**/*.*")] == ["gen_1.png"]


class TestTwoWorkers:
    def test_share_what_is_late(self, tmp_path: Path, postgres_database: str, asset_host: AssetHost) -> None:
        """On PostgreSQL, two workers of which one is killed tell of each late asset once."""
        both = {**settings(tmp_path), **MORTAL, "RECEIVER_DATABASE_URL": postgres_database}
        with service(tmp_path, **both) as receiver:
            receiver.run("migrate")
            receiver.start("web")
            victim, _ = receiver.start("worker"), receiver.start("worker")
            names = [f"gen_{number}" for number in range(12)]
            asset_host.status = 503
            for name in names:
                receiver.deliver(completed(name, f"{asset_host.url}/{name}.png"))
            until(lambda: {message["subject"] for message in receiver.messages()} == set(names))
            asset_host.status = 200
            until(lambda: follow_ups(receiver))
            kill(victim)
            until(lambda: {told["subject"] for told in follow_ups(receiver, "audit")} == set(names))
            until(lambda: {told["subject"] for told in follow_ups(receiver)} == set(names))
            for name in ("messages", "audit"):
                assert len({told["id"] for told in follow_ups(receiver, name)}) == len(names)
