"""What an operator does after an outage, with real processes and no SQL."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.acceptance.service import Service, completed, failed, service
from tests.servers.assets import AssetHost
from tests.servers.http_sink import Answer, http_sink
from tests.waiting.blocking import until


def operate(receiver: Service, *words: str) -> list[dict[str, Any]]:
    """Run `receiver WORDS --json` beside the service; return what it printed."""
    done = receiver.command(*words, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class TestDeadLetters:
    async def test_are_delivered_once_after_the_cause_is_mended(self, tmp_path: Path) -> None:
        """Refused for good, listed, mended, sent again: one delivery, under the id it always had."""
        async with http_sink() as sink:
            sink.answer = lambda _: Answer(422, body=b"no such order")
            with service(tmp_path, RECEIVER_DESTINATIONS__SHOP__URL=sink.url) as receiver:
                await asyncio.to_thread(receiver.start)
                answer = await asyncio.to_thread(receiver.deliver, failed("gen_1"))
                await asyncio.to_thread(until, lambda: receiver.logged("dead letter"))
                (letter,) = await asyncio.to_thread(
                    operate, receiver, "deliveries", "list", "--state", "dead"
                )
                sink.answer = lambda _: Answer(204)
                words = ("deliveries", "retry", "--destination", "shop", "--error", "422")
                await asyncio.to_thread(operate, receiver, *words)
                await asyncio.to_thread(until, lambda: len(sink.received) == 2)
                await asyncio.to_thread(until, lambda: receiver.delivered() == 2)  # the file has it, too
                after = ("deliveries", "show", letter["event_id"], "shop")
                (delivery,) = await asyncio.to_thread(operate, receiver, *after)
        assert letter["event_id"] == answer.json["event_id"]
        assert delivery["state"] == "delivered"
        assert [(one["number"], one["said"]) for one in delivery["failed_attempts"]] == [(1, "no such order")]
        assert [json.loads(one.body)["id"] for one in sink.received] == [letter["event_id"]] * 2
        assert {one.headers["idempotency-key"] for one in sink.received} == {letter["event_id"]}
        assert len({one.body for one in sink.received}) == 1


class TestReplay:
    def test_works_long_after_the_source_is_gone(self, tmp_path: Path, asset_host: AssetHost) -> None:
        """The message is the same, byte for byte, and names the mirrored asset; nobody asks the source."""
        with service(tmp_path) as receiver:
            receiver.start()
            receiver.deliver(completed("gen_1", f"{asset_host.url}/a.png"))
            (first,) = until(receiver.messages)
            until(receiver.delivered)
            asset_host.status = 410
            operate(receiver, "events", "replay", first["id"])
            until(lambda: len(receiver.messages()) == 2)
            lines = (tmp_path / "messages.jsonl").read_text().splitlines()
        assert lines[0] == lines[1]
        assert first["data"]["asset"]["url"].startswith("file://")
        assert len(asset_host.asked) == 1

    def test_is_cancelled_half_way(self, tmp_path: Path) -> None:
        """What was not sent is as it was; nothing is sent any more, and every delivery is accounted for."""
        with service(tmp_path) as receiver:
            receiver.start()
            for number in range(30):
                receiver.deliver(failed(f"gen_{number}"))
            until(lambda: receiver.delivered() == 30)
            (operation,) = operate(receiver, "events", "replay", "--all", "--rate", "0.05")
            assert operation["changed"] == 30
            until(lambda: len(receiver.messages()) > 30 and receiver.delivered())
            (cancelled,) = operate(receiver, "operations", "cancel", operation["id"])
            (after,) = operate(receiver, "operations", "show", operation["id"])
            sent = after["deliveries"]["delivered"]
            assert len(receiver.messages()) == 30 + sent
            assert cancelled == {"id": operation["id"], "restored": 30 - sent, "under_way": 0}
            assert 0 < sent < 30
            states = [one["state"] for one in operate(receiver, "deliveries", "list")]
            assert states == ["delivered"] * 30
